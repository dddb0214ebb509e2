//! Words in and beside the video: subtitles, metadata, chapters, and what FFmpeg tells of itself.

use crate::fixture::{SOURCE, Studio};
use serde_json::json;

const SUBTITLES: &str = "1\n00:00:00,500 --> 00:00:01,750\nA rabbit wakes up\n\n\
                         2\n00:00:02,000 --> 00:00:04,040\nGrüße aus dem Wald,\nund eine zweite Zeile\n\n";

#[test]
fn subtitles_survive_every_format() {
    let studio = Studio::new();
    studio.write("in.srt", SUBTITLES);
    for (options, file, codec) in [
        ("", "out.ass", "ass"),
        ("", "out.vtt", "webvtt"),
        ("-c:s srt", "out.mkv", "subrip"),
        ("-c:s mov_text", "out.mp4", "mov_text"),
    ] {
        studio.make(format!("-i in.srt {options} {file}"));
        assert_eq!(studio.probe(file)["streams"][0]["codec_name"], codec);
        studio.make(format!("-y -i {file} back.srt"));
        assert_eq!(studio.read_text("back.srt"), SUBTITLES, "through {file}");
    }
    assert!(
        studio
            .read_text("out.ass")
            .contains("Grüße aus dem Wald,\\Nund eine zweite Zeile")
    );

    // Beside picture and sound.
    let options = "-map 0 -map 1 -c copy -c:s mov_text -metadata:s:s:0 language=deu";
    studio.make(format!("-i {SOURCE} -i in.srt {options} all.mp4"));
    let subtitles = &studio.probe("all.mp4")["streams"][2];
    assert_eq!(
        (&subtitles["codec_name"], &subtitles["tags"]["language"]),
        (&json!("mov_text"), &json!("deu"))
    );
    studio.make("-y -i all.mp4 back.srt");
    assert_eq!(studio.read_text("back.srt"), SUBTITLES);
}

#[test]
fn metadata_and_chapters_survive_every_container() {
    const METADATA: &str = ";FFMETADATA1\ntitle=Ein Häschen\\; sonst nichts\nartist=Blender\n\
                            [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=Morning\n\
                            [CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=5280\ntitle=Noon\n";
    let studio = Studio::new();
    studio.write("in.txt", METADATA);
    for file in ["out.mkv", "out.mp4", "out.nut"] {
        let options = "-map_metadata 1 -map_chapters 1 -c copy";
        studio.make(format!("-i {SOURCE} -i in.txt -map 0 {options} {file}"));
        studio.make(format!("-y -i {file} -f ffmetadata out.txt"));
        let text = studio.read_text("out.txt");
        for line in ["title=Ein Häschen\\; sonst nichts", "title=Morning", "title=Noon"] {
            assert!(
                text.lines().any(|found| found == line),
                "`{line}` is lost in {file}:\n{text}"
            );
        }
        let chapters = &studio.probe(file)["chapters"];
        let times: Vec<_> = chapters
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (&one["start_time"], &one["end_time"]))
            .collect();
        let wanted = [
            (&json!("0.000000"), &json!("2.000000")),
            (&json!("2.000000"), &json!("5.280000")),
        ];
        assert_eq!(times, wanted, "{file}");
    }
}

#[test]
fn ffprobe_knows_the_source() {
    let studio = Studio::new();
    let probe = studio.probe(SOURCE);
    let facts = [
        ("/format/format_name", json!("mov,mp4,m4a,3gp,3g2,mj2")),
        ("/format/nb_streams", json!(2)),
        ("/format/duration", json!("5.312000")),
        ("/format/size", json!("1055736")),
        ("/format/bit_rate", json!("1589963")),
        ("/format/tags/encoder", json!("Lavf53.24.2")),
        ("/streams/0/codec_name", json!("h264")),
        ("/streams/0/profile", json!("Main")),
        ("/streams/0/level", json!(31)),
        ("/streams/0/width", json!(1280)),
        ("/streams/0/height", json!(720)),
        ("/streams/0/pix_fmt", json!("yuv420p")),
        ("/streams/0/r_frame_rate", json!("25/1")),
        ("/streams/0/time_base", json!("1/12800")),
        ("/streams/0/duration", json!("5.280000")),
        ("/streams/0/nb_frames", json!("132")),
        ("/streams/0/nb_read_frames", json!("132")),
        ("/streams/1/codec_name", json!("aac")),
        ("/streams/1/profile", json!("LC")),
        ("/streams/1/sample_rate", json!("48000")),
        ("/streams/1/channels", json!(6)),
        ("/streams/1/channel_layout", json!("5.1")),
        ("/streams/1/duration", json!("5.312000")),
        ("/streams/1/nb_frames", json!("249")),
    ];
    for (path, wanted) in facts {
        assert_eq!(probe.pointer(path), Some(&wanted), "{path}");
    }
    assert_eq!(probe["streams"].as_array().unwrap().len(), 2);
}

#[test]
fn progress_is_told_in_blocks_that_a_program_can_read() {
    let studio = Studio::new();
    let told = studio
        .make(format!("-i {SOURCE} -stats_period 0.05 -progress pipe:1 -f null -"))
        .text();
    let values = |key: &str| -> Vec<String> {
        told.lines()
            .filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.trim().to_owned()))
            .collect()
    };
    let ends = values("progress");
    let (last, earlier) = ends.split_last().unwrap();
    assert_eq!(last, "end");
    assert!(
        earlier.len() > 1 && earlier.iter().all(|end| end == "continue"),
        "{told}"
    );
    let frames: Vec<usize> = values("frame").iter().map(|frame| frame.parse().unwrap()).collect();
    assert!(frames.is_sorted(), "{frames:?}");
    assert_eq!(frames.last(), Some(&132));
    assert_eq!(values("speed").len(), ends.len());
}

#[test]
fn a_report_is_written_where_it_is_wanted() {
    let studio = Studio::new();
    let named = studio
        .ffmpeg(format!("-i {SOURCE} -c copy -f null -"))
        .env("FFREPORT", "file=named.log:level=32");
    named.ok();
    let report = studio.read_text("named.log");
    assert!(report.contains(&format!("-i {SOURCE} -c copy -f null -")), "{report}");
    assert!(report.contains("frame="), "{report}");

    studio.make(format!("-report -i {SOURCE} -c copy -f null -"));
    let reports = studio.files("ffmpeg-");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(studio.read_text(&reports[0]).contains("Exiting with exit code 0"));
}
