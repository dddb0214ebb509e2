//! Keys and signals that end ffmpeg such that its outputs are whole.

use crate::fixture::{SOURCE, Studio};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The file of what a program writes to its standard error.
const SAID: &str = "said.txt";

/// A program of the module, with a pipe for its keys.
fn start(studio: &Studio, program: &str) -> Child {
    studio
        .command()
        .args(program.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(studio.path(SAID)).unwrap())
        .spawn()
        .unwrap()
}

/// What the program wrote to its standard error so far.
fn said(studio: &Studio) -> String {
    String::from_utf8_lossy(&fs::read(studio.path(SAID)).unwrap()).into_owned()
}

/// Waits until the program has said so. Before it works it has no handlers of signals.
fn wait_until_it_says(studio: &Studio, text: &str) {
    let begin = Instant::now();
    while !said(studio).contains(text) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", said(studio));
        thread::sleep(Duration::from_millis(10));
    }
}

/// The begin of ffmpeg's line of progress.
const PROGRESS: &str = "time=00:";

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
        wait_until_it_says(&studio, PROGRESS);
        send(&child, signal);
        let sent = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(255), "{}", said(&studio));
        assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
        let said = said(&studio);
        assert!(said.contains(&format!("received signal {signal}")), "{said}");
        check(&studio);
    }
}

/// Waits until a pipe holds as much as it can, up to a page.
fn wait_until_full(pipe: &ChildStdout) {
    let begin = Instant::now();
    let mut held_bytes: libc::c_int = 0;
    while held_bytes < (64 << 10) - 4096 {
        assert!(begin.elapsed() < Duration::from_secs(60), "{held_bytes} bytes");
        thread::sleep(Duration::from_millis(10));
        // SAFETY: the call writes one integer, which is there.
        let asked = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut held_bytes) };
        assert_eq!(asked, 0);
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let studio = Studio::new();
    let line = format!("ffmpeg -v error -i {SOURCE} -an -f rawvideo pipe:1");
    let mut child = studio
        .command()
        .args(line.split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(studio.path(SAID)).unwrap())
        .spawn()
        .unwrap();
    // Nobody reads it, so that it cannot end in order. Where an assertion fails it is closed, which ends the program.
    let output = child.stdout.take().unwrap();
    wait_until_full(&output);
    send(&child, libc::SIGINT);
    thread::sleep(Duration::from_secs(1));
    let ended = child.try_wait().unwrap();
    assert_eq!(ended, None, "by the first signal: {}", said(&studio));
    send(&child, libc::SIGTERM);
    let sent = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(sent.elapsed() < Duration::from_secs(5), "it goes on"),
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.signal(), Some(libc::SIGTERM), "{status:?}: {}", said(&studio));
}

#[test]
fn the_key_q_lets_the_outputs_be_finished() {
    let studio = Studio::new();
    let mut child = start(&studio, &encode());
    wait_until_it_says(&studio, PROGRESS);
    child.stdin.take().unwrap().write_all(b"q").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&studio));
    check(&studio);
}

#[test]
fn ffprobe_ends_by_the_signal() {
    let studio = Studio::new();
    let child = start(&studio, "ffprobe -f matroska -i pipe:0");
    wait_until_it_says(&studio, "ffprobe version");
    // A shell that starts programs in the background has them ignore SIGINT.
    send(&child, libc::SIGTERM);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(libc::SIGTERM));
}
