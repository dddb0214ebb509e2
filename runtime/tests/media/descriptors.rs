//! Names of streams, as shells and other programs give them.

use crate::fixture::{SOURCE, Studio, module};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a line of a shell in which `afmpeg` is the command with its module.
fn shell(studio: &Studio, line: &str) -> Output {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    let prelude = r#"afmpeg() { "$COMMAND" --module "$MODULE" --cache-dir "$CACHE" "$@"; }"#;
    Command::new("bash")
        .args(["-c", &format!("{prelude}\n{line}")])
        .current_dir(studio.path(""))
        .env("COMMAND", env!("CARGO_BIN_EXE_afmpeg"))
        .env("MODULE", module().path())
        .env("CACHE", cache)
        .output()
        .unwrap()
}

#[test]
fn a_shells_names_of_streams_work() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -c copy in.mkv"));
    let wanted = studio.packets("-i in.mkv -c copy");
    for line in [
        "cat in.mkv | afmpeg ffmpeg -i /dev/stdin -c copy -f framemd5 -",
        "afmpeg ffmpeg -i <(cat in.mkv) -c copy -f framemd5 -",
        "afmpeg ffmpeg -i /dev/stdin -c copy -f framemd5 - < in.mkv",
        "afmpeg ffmpeg -i pipe:3 -c copy -f framemd5 - 3< in.mkv",
        "cat in.mkv | afmpeg ffmpeg -i /dev/fd/0 -c copy -f framemd5 -",
        "afmpeg ffmpeg -i /dev/fd/12 -c copy -f framemd5 - 12< in.mkv",
        "afmpeg ffmpeg -fd 9 -i fd: -c copy -f framemd5 - 9< in.mkv",
        "afmpeg ffmpeg -i in.mkv -c copy -y -f framemd5 /dev/stdout",
        "afmpeg ffmpeg -i in.mkv -c copy -y -f framemd5 /dev/stdout > out.txt; cat out.txt",
        "afmpeg ffmpeg -i in.mkv -c copy -f framemd5 pipe:4 4>&1",
        "afmpeg ffmpeg -i in.mkv -c copy -y -f framemd5 >(cat) | cat",
    ] {
        let output = shell(&studio, line);
        assert!(output.status.success(), "{line}: {output:?}");
        let packets = crate::measure::Packets::parse(&String::from_utf8(output.stdout).unwrap());
        packets.assert_equal(&wanted, 0.0006);
    }
    for line in ["afmpeg probe <(cat in.mkv)", "cat in.mkv | afmpeg probe /dev/stdin"] {
        let output = shell(&studio, line);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("1280x720"),
            "{line}: {output:?}"
        );
    }
    // What is not there is an error, and what the command has opened itself is not there.
    for number in [3, 4, 5, 6, 7, 8, 9, 250, 100_000] {
        let output = shell(&studio, &format!("afmpeg ffmpeg -i pipe:{number} -f null -"));
        let code = output.status.code().unwrap();
        // Linux's numbers for a bad descriptor and for a directory, which the program's own third one is.
        assert!([256 - 9, 256 - 21].contains(&code), "{number}: {output:?}");
    }
}

#[test]
fn a_socket_can_be_written_to() {
    let studio = Studio::new();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    // Standard output as the socket, which Node's `stdio: 'pipe'` gives.
    let mut child = studio
        .command()
        .args([
            "ffmpeg",
            "-v",
            "error",
            "-i",
            SOURCE,
            "-t",
            "1",
            "-y",
            "-f",
            "s16le",
            "/dev/stdout",
        ])
        .stdout(theirs)
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bytes.len(), 48_000 * 6 * 2);
}

#[test]
fn nothing_can_be_written_to_at_any_position() {
    let studio = Studio::new();
    // The recipe of two passes, whose first goes nowhere, with a limit that holes must not count for.
    let line = format!("ffmpeg -y -t 1 -i {SOURCE} -c:v libx264 -preset ultrafast -b:v 300k -pass");
    studio
        .afmpeg("--written-max 20M", &format!("{line} 1 -an -f mp4 /dev/null"))
        .ok();
    studio.afmpeg("", &format!("{line} 2 out.mp4")).ok();
    assert!(fs::metadata(studio.path("out.mp4")).unwrap().len() > 10_000);
}
