//! Copying packets from one container to another leaves each of them as it was.

use crate::fixture::{SOURCE, SOURCE_FRAMES, SOURCE_FRAMES_PER_SECOND, Studio};
use crate::measure::{Packets, hashes};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

/// Matroska counts milliseconds and rounds to the nearest.
const MATROSKA_CLOCK_S: f64 = 0.0006;
/// MPEG transport streams count 90,000ths of a second.
const TRANSPORT_CLOCK_S: f64 = 0.00002;

/// A keyframe a second, as streaming wants it; the source has only its first.
fn with_keyframes(studio: &Studio) -> &'static str {
    let options = "-vf scale=320:180 -c:v libopenh264 -b:v 400k -g 25 -c:a copy";
    studio.make(format!("-i {SOURCE} {options} keyframes.mp4"));
    "keyframes.mp4"
}

#[test]
fn a_remux_to_matroska_keeps_every_packet() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -c copy copy.mkv"));
    let source = studio.packets(format!("-i {SOURCE} -c copy"));
    assert_eq!((source.stream(0).len(), source.stream(1).len()), (SOURCE_FRAMES, 249));
    source.assert_equal(&studio.packets("-i copy.mkv -c copy"), MATROSKA_CLOCK_S);
    let probe = studio.probe("copy.mkv");
    assert_eq!(probe["format"]["format_name"], "matroska,webm");
    assert_eq!(probe["streams"][0]["nb_read_frames"], "132");

    // The way back, without Matroska's rounding getting worse.
    studio.make("-i copy.mkv -c copy back.mp4");
    source.assert_equal(&studio.packets("-i back.mp4 -c copy"), MATROSKA_CLOCK_S);

    let stream_hashes = |file| {
        studio
            .make(format!("-v error -i {file} -c copy -f streamhash -hash md5 -"))
            .text()
    };
    assert_eq!(stream_hashes("copy.mkv"), stream_hashes(SOURCE));
}

#[test]
fn hls_segments_add_up_to_their_source() {
    let studio = Studio::new();
    let input = with_keyframes(&studio);
    let frames = studio.packets(format!("-i {input} -map 0:v"));
    for (kind, extension) in [("mpegts", "ts"), ("fmp4", "m4s")] {
        let options = format!("-hls_time 1 -hls_playlist_type vod -hls_segment_type {kind}");
        let names = format!("-hls_segment_filename {kind}%03d.{extension} {kind}.m3u8");
        studio.make(format!("-i {input} -c copy -f hls {options} {names}"));

        let playlist = studio.read_text(&format!("{kind}.m3u8"));
        let mut lines = playlist.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"), "{playlist}");
        assert!(playlist.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"), "{playlist}");
        assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "{playlist}");
        let durations_s: Vec<f64> = lines
            .clone()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse().ok())
            .collect();
        let segments: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            segments,
            studio
                .files(kind)
                .iter()
                .filter(|name| name.ends_with(extension))
                .collect::<Vec<_>>()
        );
        assert_eq!(segments.len(), 6, "{playlist}");
        assert_eq!(segments.len(), durations_s.len());
        for duration_s in &durations_s[..5] {
            assert!((duration_s - 1.0).abs() < 0.001, "{playlist}");
        }
        assert!((durations_s.iter().sum::<f64>() - 5.28).abs() < 0.05, "{playlist}");

        let played = studio.packets(format!("-i {kind}.m3u8 -map 0:v"));
        assert_eq!(played.stream(0).len(), SOURCE_FRAMES);
        assert_eq!(hashes(played.stream(0)), hashes(frames.stream(0)), "{kind}");
        // Transport streams have their own way to wrap packets, which these filters undo.
        let unwrap = if kind == "mpegts" { "-bsf:a aac_adtstoasc" } else { "" };
        let sound = studio.packets(format!("-i {kind}.m3u8 -map 0:a -c copy {unwrap}"));
        let wanted = studio.packets(format!("-i {input} -map 0:a -c copy"));
        assert_eq!(hashes(sound.stream(0)), hashes(wanted.stream(0)), "{kind}");
    }
}

#[test]
fn a_live_playlist_drops_what_is_past() {
    let studio = Studio::new();
    let input = with_keyframes(&studio);
    let options = "-hls_time 1 -hls_list_size 2 -hls_flags delete_segments+temp_file -hls_segment_filename live%d.ts";
    studio.make(format!("-i {input} -c copy -f hls {options} live.m3u8"));
    let playlist = studio.read_text("live.m3u8");
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:4\n"), "{playlist}");
    // One segment more than the playlist names is kept, for who is still reading it.
    assert_eq!(studio.files("live"), ["live.m3u8", "live3.ts", "live4.ts", "live5.ts"]);
    let played = studio.packets("-i live.m3u8 -map 0:v");
    let wanted = studio.packets(format!("-i {input} -map 0:v"));
    assert_eq!(hashes(played.stream(0)), hashes(&wanted.stream(0)[100..]));
}

#[test]
fn segments_and_a_concatenation_of_them_keep_every_packet() {
    let studio = Studio::new();
    let input = with_keyframes(&studio);
    let options = "-f segment -segment_time 2 -segment_list list.ffconcat -reset_timestamps 1";
    studio.make(format!("-i {input} -map 0:v -c copy {options} part%d.mkv"));
    assert_eq!(studio.files("part"), ["part0.mkv", "part1.mkv", "part2.mkv"]);
    let counts: Vec<usize> = studio
        .files("part")
        .iter()
        .map(|part| studio.packets(format!("-i {part} -c copy")).stream(0).len())
        .collect();
    assert_eq!(counts, [50, 50, 32]);

    let joined = studio.packets("-f concat -auto_convert 0 -i list.ffconcat -c copy");
    let wanted = studio.packets(format!("-i {input} -map 0:v -c copy"));
    wanted.assert_equal(&joined, 3.0 * MATROSKA_CLOCK_S);
}

#[test]
fn a_tee_gives_every_output_the_same_packets() {
    let studio = Studio::new();
    // A tee passes an MP4 file's codec tags on, which Matroska refuses.
    studio.make(format!("-i {SOURCE} -c copy source.mkv"));
    let outputs = "[f=matroska]left.mkv|[select=v]right.mp4|[f=framemd5]packets.txt";
    studio.make(format!("-i source.mkv -map 0 -c copy -f tee {outputs}"));
    let source = studio.packets("-i source.mkv -map 0 -c copy");
    source.assert_equal(&studio.packets("-i left.mkv -map 0 -c copy"), MATROSKA_CLOCK_S);
    source.assert_equal(&Packets::parse(&studio.read_text("packets.txt")), 0.0);
    let right = studio.packets("-i right.mp4 -map 0 -c copy");
    studio
        .packets("-i source.mkv -map 0:v -c copy")
        .assert_equal(&right, MATROSKA_CLOCK_S);
}

#[test]
fn a_transport_stream_keeps_every_frame() {
    let studio = Studio::new();
    studio.make(format!(
        "-i {SOURCE} -c copy -muxdelay 0 -muxpreload 0 -output_ts_offset 1 copy.ts"
    ));
    let played = studio.packets("-i copy.ts -map 0:v -vf setpts=PTS-STARTPTS");
    studio
        .packets(format!("-i {SOURCE} -map 0:v"))
        .assert_equal(&played, TRANSPORT_CLOCK_S);
}

#[test]
fn a_seek_reaches_beyond_four_gigabytes() {
    const SAMPLES_PER_SECOND: usize = 48_000;
    const SECONDS: usize = 15_000;
    let studio = Studio::new();
    let tail: Vec<u8> = (0..SAMPLES_PER_SECOND)
        .flat_map(|index| [index as i32, -(index as i32)])
        .flat_map(i32::to_le_bytes)
        .collect();
    let tail_start_bytes = (SECONDS * SAMPLES_PER_SECOND * 2 * size_of::<i32>()) as u64;
    assert!(tail_start_bytes > 4 << 30);
    // A file with a hole takes no room.
    let mut file = File::create(studio.path("long.raw")).unwrap();
    file.seek(SeekFrom::Start(tail_start_bytes)).unwrap();
    file.write_all(&tail).unwrap();
    let got = studio
        .make(format!(
            "-ss {SECONDS} -f s32le -ar 48000 -ac 2 -i long.raw -f s32le pipe:1"
        ))
        .stdout;
    assert!(
        got == tail,
        "{} bytes differ from the {} at the end",
        got.len(),
        tail.len()
    );
}

#[test]
fn a_seek_finds_the_very_frame() {
    let studio = Studio::new();
    let input = with_keyframes(&studio);
    let all = studio.packets(format!("-i {input} -map 0:v"));
    let all = hashes(all.stream(0));
    for (seek, wanted) in [
        ("-ss 0 -i FILE -frames:v 1", 0..1),
        ("-ss 0.04 -i FILE -frames:v 1", 1..2),
        ("-ss 1 -i FILE -frames:v 1", 25..26),
        // Between two frames lies the later one.
        ("-ss 3.47 -i FILE -frames:v 1", 87..88),
        ("-ss 5.24 -i FILE", 131..132),
        ("-ss 2 -t 0.2 -i FILE", 50..55),
        ("-ss 2 -i FILE -t 0.2", 50..55),
        ("-i FILE -ss 2 -t 0.2", 50..55),
        ("-i FILE -ss 2 -to 2.2", 50..55),
        // The sound ends at 5.312 s, and the file with it.
        ("-sseof -0.4 -i FILE", 123..132),
    ] {
        let got = studio.packets(format!("{} -map 0:v", seek.replace("FILE", input)));
        assert_eq!(hashes(got.stream(0)), all[wanted], "{seek}");
    }
    let at_s = |index: usize| index as f64 / SOURCE_FRAMES_PER_SECOND as f64;
    let kept = studio.packets(format!("-ss 3 -copyts -i {input} -map 0:v -frames:v 1"));
    assert!((kept.stream(0)[0].start_s - at_s(75)).abs() < 0.001);
}
