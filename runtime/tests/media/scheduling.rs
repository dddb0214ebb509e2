//! FFmpeg's many threads, which take turns on one: none waits forever, and waiting costs nothing.

use crate::fixture::{Pixels, SOURCE, SOURCE_FRAMES, Studio};
use crate::measure::{hashes, psnr_db};
use std::time::Duration;

#[test]
fn many_threads_feed_several_outputs_at_once() {
    let studio = Studio::new();
    let small = Pixels::new("yuv420p", 320, 180);
    let graph = "[0:v]scale=320:180,split=3[a][b][c];[0:a]asplit[d][e]";
    let outputs = "-map [a] -map [d] -c:v ffv1 -c:a flac lossless.mkv \
                   -map [b] -c:v mpeg4 -q:v 2 picture.mp4 \
                   -map [c] -map [e] -c:v libopenh264 -b:v 1M -c:a aac both.mp4";
    let threads = "-threads 8 -filter_complex_threads 4 -filter_threads 4";
    studio.make(format!(
        "{threads} -i {SOURCE} -filter_complex {graph} -threads 8 {outputs}"
    ));
    let wanted = studio.frames(format!("-i {SOURCE} -vf scale=320:180"), small);
    assert_eq!(wanted.len(), SOURCE_FRAMES);
    for (file, psnr_min_db) in [
        ("lossless.mkv", f64::INFINITY),
        ("picture.mp4", 41.0),
        ("both.mp4", 39.0),
    ] {
        let psnr = psnr_db(&wanted, &studio.frames(format!("-i {file}"), small));
        println!("{file}: {psnr:.2} dB");
        assert!(psnr >= psnr_min_db, "{file}: {psnr} dB");
    }
}

#[test]
fn inputs_and_outputs_of_any_length_come_to_an_end() {
    let studio = Studio::new();
    let endless = "-f lavfi -i testsrc2=size=160x90:rate=25";
    let endless_tone = "-f lavfi -i sine=sample_rate=48000";
    let short = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1";
    let short_tone = "-f lavfi -i sine=sample_rate=48000:duration=1";
    for (arguments, frames) in [
        (format!("{endless} -i {SOURCE} -map 0:v -map 1:a -shortest"), 132..=134),
        (format!("{endless} {short_tone} -shortest"), 25..=26),
        (format!("{short} {endless_tone} -shortest"), 25..=25),
        (format!("{endless} {endless_tone} -t 2"), 50..=50),
        (format!("{endless} {endless_tone} -frames:v 1 -t 0.04"), 1..=1),
        (format!("-i {SOURCE} -frames:v 1"), 1..=1),
        (format!("-t 1 -i {SOURCE}"), 25..=25),
        (format!("-i {SOURCE} -t 0.4 -an"), 10..=10),
        (
            format!("{short} {endless} -filter_complex [0][1]hstack=shortest=1"),
            25..=25,
        ),
        (
            format!("{short} {endless} -filter_complex [1][0]overlay=shortest=1"),
            25..=25,
        ),
        (
            format!("{short} {endless} -filter_complex [1][0]overlay=eof_action=pass -t 2"),
            50..=50,
        ),
        (
            format!("{short} {short} {short} -filter_complex [0][1][2]concat=n=3"),
            75..=75,
        ),
        (
            format!("{short} -i {SOURCE} -filter_complex [1:v]scale=160:90,fps=25[a];[0:v][a]interleave -an"),
            157..=157,
        ),
        // An input that is needed only for a moment, and one that is never needed.
        (
            format!("-i {SOURCE} {endless} {endless_tone} -map 0:v -map 2:a -t 1"),
            25..=25,
        ),
        // Demuxing runs far ahead of one of the two streams.
        (
            format!(
                "-i {SOURCE} -filter_complex [0:v]trim=start=4,setpts=PTS-STARTPTS[v];[0:a]atrim=end=0.5[a] -map [v] -map [a]"
            ),
            32..=32,
        ),
    ] {
        let ended = studio.make(format!("-y {arguments} -s 160x90 -c:v ffv1 -c:a pcm_s16le out.nut"));
        let probe = studio.probe("out.nut");
        let count: usize = probe["streams"][0]["nb_read_frames"].as_str().unwrap().parse().unwrap();
        println!("{count} frames in {:?} from {arguments}", ended.wall_time);
        assert!(
            frames.contains(&count),
            "{count} frames instead of {frames:?} from\n{arguments}"
        );
    }
}

#[test]
fn a_looped_input_repeats_picture_and_sound() {
    let studio = Studio::new();
    studio.make(format!(
        "-i {SOURCE} -vf scale=160:90 -c:v ffv1 -c:a pcm_s16le once.mkv"
    ));
    studio.make("-stream_loop 1 -i once.mkv -c:v ffv1 -c:a pcm_s16le twice.mkv");
    let once = studio.packets("-i once.mkv -map 0:v");
    let twice = studio.packets("-i twice.mkv -map 0:v");
    assert_eq!(hashes(twice.stream(0)), hashes(once.stream(0)).repeat(2));
    assert!(
        studio.samples("-i twice.mkv") == studio.samples("-i once.mkv").repeat(2),
        "the samples differ"
    );
}

#[test]
fn who_waits_for_the_clock_does_not_use_the_processor() {
    let studio = Studio::new();
    let copy = |pace: &str| studio.make(format!("{pace} -i {SOURCE} -c copy -f framemd5 pipe:1"));
    let at_once = copy("");
    // Half a second comes at once, the rest at the pace.
    for (pace, wait_min_s) in [("-readrate 4", 1.1), ("-re", 4.5)] {
        let paced = copy(pace);
        println!(
            "{pace}: {:?} of {:?}",
            paced.usage.map(|usage| usage.cpu_time),
            paced.wall_time
        );
        assert!(
            paced.wall_time.as_secs_f64() > wait_min_s,
            "{:?} with {pace}",
            paced.wall_time
        );
        if let (Some(paced), Some(at_once)) = (paced.usage, at_once.usage) {
            let extra = paced.cpu_time.saturating_sub(at_once.cpu_time);
            assert!(
                extra < Duration::from_millis(400),
                "{extra:?} more of the processor with {pace}"
            );
        }
        assert_eq!(paced.stdout, at_once.stdout);
    }
}

#[test]
fn a_job_with_threads_gives_the_frames_of_a_job_without() {
    let studio = Studio::new();
    let decode = |threads: usize| studio.packets(format!("-threads {threads} -i {SOURCE} -map 0:v -vf gblur=sigma=2"));
    assert_eq!(hashes(decode(1).stream(0)), hashes(decode(8).stream(0)));
}
