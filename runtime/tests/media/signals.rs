//! Keys and signals that end ffmpeg such that its outputs are whole.

use crate::fixture::{SOURCE, Studio};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for the program to be in the midst of its work.
const AFTER: Duration = Duration::from_millis(1500);

/// A program of the module, with a pipe for its keys.
fn start(studio: &Studio, program: &str) -> Child {
    studio
        .command()
        .args(program.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A minute of sound, at the speed at which it is heard.
fn encode() -> String {
    format!("ffmpeg -y -re -stream_loop 12 -i {SOURCE} -vn -c:a aac out.mp4")
}

fn send(child: &Child, signal: i32) {
    // SAFETY: `kill` takes two numbers, and the child has not been waited for, so that its number is still its own.
    let sent = unsafe { libc::kill(child.id().cast_signed(), signal) };
    assert_eq!(sent, 0);
}

/// The file is whole: it has a duration, about that of the work until the end, and its frames decode.
fn check(studio: &Studio) {
    let probe = studio.probe("out.mp4");
    let seconds: f64 = probe["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!((0.3..30.0).contains(&seconds), "{seconds}");
}

#[test]
fn the_first_signal_lets_the_outputs_be_finished() {
    let studio = Studio::new();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let child = start(&studio, &encode());
        thread::sleep(AFTER);
        send(&child, signal);
        let sent = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(255), "{output:?}");
        assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("received signal {signal}")), "{said}");
        check(&studio);
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let studio = Studio::new();
    let mut child = start(&studio, &encode());
    thread::sleep(AFTER);
    send(&child, libc::SIGINT);
    // As two that come at once may be one to the system.
    let sent = Instant::now();
    while child.try_wait().unwrap().is_none() && sent.elapsed() < Duration::from_secs(5) {
        send(&child, libc::SIGTERM);
    }
    let status = child.wait().unwrap();
    assert!(
        status.signal() == Some(libc::SIGTERM) || status.code() == Some(255),
        "{status:?}"
    );
    assert!(sent.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_key_q_lets_the_outputs_be_finished() {
    let studio = Studio::new();
    let mut child = start(&studio, &encode());
    thread::sleep(AFTER);
    child.stdin.take().unwrap().write_all(b"q").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    check(&studio);
}

#[test]
fn ffprobe_ends_by_the_signal() {
    let studio = Studio::new();
    let child = start(&studio, "ffprobe -v error -f matroska -i pipe:0");
    thread::sleep(AFTER / 3);
    // A shell that starts programs in the background has them ignore SIGINT.
    send(&child, libc::SIGTERM);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(libc::SIGTERM));
}
