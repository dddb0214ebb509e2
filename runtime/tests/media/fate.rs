//! Short tests of the faults that FATE, FFmpeg's own test suite, found.

use crate::fixture::Studio;

const PICTURES: &str = "-f lavfi -i testsrc2=size=160x120:rate=5 -frames:v 4";

#[test]
fn what_filters_print_goes_to_files_and_to_standard_output_alike() {
    let studio = Studio::new();
    let printed = |file: &str| format!("{PICTURES} -vf signalstats,metadata=print:file={file} -f null -");
    let to_output = studio.make(printed("-")).text();
    // The filter may see a frame more than the output takes.
    let frames = to_output.matches("lavfi.signalstats.YAVG=").count();
    assert!(frames >= 4, "{to_output}");
    studio.make(printed("out.txt"));
    assert_eq!(studio.read_text("out.txt"), to_output);
    studio.make(printed("file\\\\:./deep.txt"));
    assert_eq!(studio.read_text("deep.txt"), to_output);

    // A filter and a muxer may share a descriptor: neither closes it for the other.
    let both = studio
        .make(format!(
            "{PICTURES} -vf signalstats,metadata=print:file=pipe\\\\:1 -f framemd5 pipe:1"
        ))
        .text();
    assert_eq!(both.matches("lavfi.signalstats.YAVG=").count(), frames, "{both}");
    assert_eq!(both.lines().filter(|line| line.starts_with("0, ")).count(), 4, "{both}");
}

#[test]
fn two_outputs_share_standard_output() {
    let studio = Studio::new();
    let text = studio
        .make(format!("{PICTURES} -f md5 pipe:1 {} -f md5 pipe:1", "-frames:v 2"))
        .text();
    assert_eq!(text.matches("MD5=").count(), 2, "{text}");
}

#[test]
fn local_time_is_that_of_the_variable_tz() {
    let studio = Studio::new();
    for (zone, time, expected) in [
        ("", "2012-02-22T17:44:07", "2012-02-22T17:44:07"),
        ("--env TZ=CET-1", "2012-02-22T17:44:07", "2012-02-22T16:44:07"),
        ("--env TZ=CET-1", "2012-02-22T17:44:07Z", "2012-02-22T17:44:07"),
        (
            "--env TZ=EST5EDT,M3.2.0,M11.1.0",
            "2012-07-22T17:44:07",
            "2012-07-22T21:44:07",
        ),
        ("--env TZ=Europe/Berlin", "2012-02-22T17:44:07", "2012-02-22T17:44:07"),
    ] {
        let command = format!("ffmpeg -v error {PICTURES} -timestamp {time} -y out.mov");
        studio.afmpeg(zone, &command).ok();
        let format = &studio.probe("out.mov")["format"];
        let told = format["tags"]["creation_time"].as_str().unwrap_or_default();
        assert!(told.starts_with(expected), "{zone}: {time} became {told}");
    }
}

#[test]
fn an_encoder_makes_a_slice_for_each_thread_that_it_is_asked_for() {
    let studio = Studio::new();
    for (threads, kind, restarts) in [(1, "slice", 0), (5, "slice", 7), (5, "frame", 0)] {
        let options = format!("-c:v mjpeg -threads {threads} -thread_type {kind} -frames:v 1 -y out.jpg");
        studio.make(format!("{PICTURES} {options}"));
        let picture = studio.read("out.jpg");
        // With slices, a restart marker stands after each of the 8 rows of blocks but the last.
        let is_restart = |pair: &&[u8]| pair[0] == 0xFF && (0xD0..=0xD7).contains(&pair[1]);
        assert_eq!(
            picture.windows(2).filter(is_restart).count(),
            restarts,
            "{threads} {kind}"
        );
    }
}
