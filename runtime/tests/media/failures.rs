//! Impossible jobs end with FFmpeg's own message and exit code: the error's number, negated, in eight bits.

use crate::fixture::{SOURCE, Studio};

const NOT_FOUND: i32 = 256 - 2;
const IS_A_DIRECTORY: i32 = 256 - 21;
const INVALID_ARGUMENT: i32 = 256 - 22;
const READ_ONLY: i32 = 256 - 30;
/// FFmpeg's own errors are four characters as a number; the first of `INDA` counts here.
const INVALID_DATA: i32 = 256 - b'I' as i32;
/// Encoders, decoders, filters and options that do not exist: the first character is 0xF8.
const NO_SUCH_PART: i32 = 256 - 0xF8;

/// Bytes without any meaning, the same in every run.
fn noise(size_bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let bytes = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    bytes.take(size_bytes).collect()
}

#[test]
fn ffmpeg_says_what_is_wrong() {
    let studio = Studio::new();
    studio.write("noise", noise(100_000));
    studio.write("empty", "");
    // The index of this file is at its end.
    studio.make(format!("-i {SOURCE} -c copy whole.mp4"));
    studio.write("headless.mp4", &studio.read("whole.mp4")[..300_000]);
    std::fs::create_dir(studio.path("folder")).unwrap();

    for (arguments, exit_code, message) in [
        ("-i missing.mp4 -f null -", NOT_FOUND, "missing.mp4"),
        ("-i missing.mp4 -f null -", NOT_FOUND, "No such file or directory"),
        ("-i folder -f null -", IS_A_DIRECTORY, "Is a directory"),
        (
            "-i noise -f null -",
            INVALID_DATA,
            "Invalid data found when processing input",
        ),
        (
            "-i empty -f null -",
            INVALID_DATA,
            "Invalid data found when processing input",
        ),
        ("-i headless.mp4 -f null -", INVALID_DATA, "moov atom not found"),
        (
            "-i source.mp4 -c copy no/such/folder.mkv",
            NOT_FOUND,
            "No such file or directory",
        ),
        (
            "-i source.mp4 -c copy -y -f matroska folder",
            IS_A_DIRECTORY,
            "Is a directory",
        ),
        (
            "-i source.mp4 -c:v nonsense out.mkv",
            NO_SUCH_PART,
            "Unknown encoder 'nonsense'",
        ),
        (
            "-c:v nonsense -i source.mp4 out.mkv",
            NO_SUCH_PART,
            "Unknown decoder 'nonsense'",
        ),
        (
            "-i source.mp4 -vf nonsense out.mkv",
            NO_SUCH_PART,
            "No such filter: 'nonsense'",
        ),
        (
            "-nonsense -i source.mp4 out.mkv",
            NO_SUCH_PART,
            "Unrecognized option 'nonsense'",
        ),
        (
            "-i source.mp4 -f nonsense out",
            INVALID_ARGUMENT,
            "Requested output format 'nonsense' is not known",
        ),
        (
            "-i source.mp4 out.nonsense",
            INVALID_ARGUMENT,
            "Unable to choose an output format for 'out.nonsense'",
        ),
        (
            "-i source.mp4 -map 0:7 out.mkv",
            INVALID_ARGUMENT,
            "Stream map '' matches no streams",
        ),
        (
            "-i source.mp4 -vf scale=0x0 -c:v png out.mkv",
            INVALID_ARGUMENT,
            "scale",
        ),
        (
            "-i source.mp4 -c copy source.mp4 -y",
            INVALID_ARGUMENT,
            "FFmpeg cannot edit existing files in-place",
        ),
        ("-i source.mp4", 1, "At least one output file must be specified"),
    ] {
        studio.ffmpeg(arguments).fails(exit_code, message);
    }
    for file in ["missing.mp4", "noise", "empty", "headless.mp4"] {
        studio
            .afmpeg("", &format!("ffprobe -v error {file}"))
            .fails(1, &format!("{file}: "));
    }
    assert_eq!(studio.files("out"), [""; 0]);
}

#[test]
fn a_folder_to_read_from_is_not_written_to() {
    let studio = Studio::new();
    let options = "--no-current-dir --dir-read-only .";
    let write = format!("ffmpeg -i {SOURCE} -c copy out.mkv");
    studio.afmpeg(options, &write).fails(READ_ONLY, "Read-only file system");
    let before = studio.read(SOURCE);
    studio
        .afmpeg(options, &format!("ffmpeg -y -f lavfi -i sine=d=1 {SOURCE}"))
        .fails(READ_ONLY, "Read-only file system");
    assert!(studio.read(SOURCE) == before);
    studio
        .afmpeg(options, &format!("ffmpeg -i {SOURCE} -c copy -f null -"))
        .ok();
    assert_eq!(studio.files(""), [SOURCE]);
}

#[test]
fn an_existing_file_is_overwritten_only_when_that_is_wanted() {
    let studio = Studio::new();
    let precious = b"precious".to_vec();
    let copy = |flags: &str| studio.ffmpeg(format!("{flags} -i {SOURCE} -c copy out.mkv"));
    studio.write("out.mkv", &precious);
    // FFmpeg takes this for a wish that was fulfilled, not for a failure.
    for (ended, message) in [
        (copy("-n").end(), "File 'out.mkv' already exists. Exiting."),
        (copy("-nostdin").end(), "File 'out.mkv' already exists. Exiting."),
        (copy("").end(), "Overwrite? [y/N] Not overwriting - exiting"),
        (
            copy("").stdin("n\n").end(),
            "Overwrite? [y/N] Not overwriting - exiting",
        ),
    ] {
        assert_eq!(ended.exit_code, Some(0), "{ended}");
        assert!(ended.stderr.contains(message), "{ended}");
        assert_eq!(studio.read("out.mkv"), precious);
    }
    copy("-y -n").fails(INVALID_ARGUMENT, "both -y and -n supplied");
    let wanted = studio.packets(format!("-i {SOURCE} -c copy"));
    for yes in [copy("-y"), copy("").stdin("y\n")] {
        studio.write("out.mkv", &precious);
        yes.ok();
        wanted.assert_equal(&studio.packets("-i out.mkv -c copy"), 0.0006);
    }
}

#[test]
fn a_truncated_file_is_used_as_far_as_it_goes() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -c copy whole.mkv"));
    let whole = studio.read("whole.mkv");
    studio.write("half.mkv", &whole[..whole.len() / 2]);
    let ended = studio.make("-i half.mkv -map 0:v -f framemd5 pipe:1");
    assert!(ended.stderr.contains("File ended prematurely"), "{ended}");
    let half = crate::measure::Packets::parse(&ended.text());
    let half = crate::measure::hashes(half.stream(0));
    let whole = studio.packets("-i whole.mkv -map 0:v");
    assert!((40..100).contains(&half.len()), "{} frames", half.len());
    // The last frame may be cut.
    let intact = half.len() - 1;
    assert_eq!(half[..intact], crate::measure::hashes(whole.stream(0))[..intact]);
}

#[test]
fn damaged_files_crash_nothing() {
    let studio = Studio::new();
    let small = "-t 1 -vf scale=160:90 -ac 1";
    for (name, options) in [
        ("h264.mkv", "-c:v libopenh264 -c:a aac"),
        ("mpeg2.ts", "-c:v mpeg2video -c:a mp2"),
        ("mpeg4.avi", "-c:v mpeg4 -c:a pcm_s16le"),
        ("prores.mov", "-c:v prores -c:a pcm_s16le"),
    ] {
        studio.make(format!("-i {SOURCE} {small} {options} {name}"));
        let mut damaged = studio.read(name);
        let places = noise(damaged.len());
        // One byte of about 250, but for the head, so that there still is something to decode.
        for (byte, place) in damaged.iter_mut().zip(&places).skip(4_000) {
            if *place == 7 {
                *byte ^= 0x55;
            }
        }
        let damaged_name = format!("damaged-{name}");
        studio.write(&damaged_name, damaged);
        let ended = studio.ffmpeg(format!("-i {damaged_name} -f null -")).end();
        let code = ended.exit_code.unwrap_or_else(|| panic!("{ended}"));
        println!(
            "{damaged_name}: exit code {code}, {} lines",
            ended.stderr.lines().count()
        );
        // Above all this is not 70, with which the command reports a crash.
        assert!([0, 69, INVALID_DATA].contains(&code), "{ended}");
        assert!(!ended.stderr.contains("afmpeg:"), "{ended}");
        assert!(code == 0 || ended.stderr.contains("rror"), "{ended}");
    }
}
