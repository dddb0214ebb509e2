//! The command's own verbs.

use crate::fixture::{SOURCE, Studio};
use serde_json::Value;

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn probe_tells_people_and_scripts() {
    let studio = Studio::new();
    let text = studio.afmpeg("", &format!("probe {SOURCE}")).ok().text();
    assert!(
        text.contains("0:00:05.") && text.contains("h264") && text.contains("1280x720, yuv420p, 25 fps"),
        "{text}"
    );
    let json: Value =
        serde_json::from_slice(&studio.afmpeg("", &format!("probe --json {SOURCE}")).ok().stdout).unwrap();
    assert_eq!(json["streams"][0]["width"], 1280);
    let piped = studio.afmpeg("", "probe -").stdin(studio.read(SOURCE)).ok().text();
    assert!(piped.contains("1280x720"), "{piped}");
    studio.write("text.mp4", "no video");
    studio.afmpeg("", "probe text.mp4").fails(1, "Invalid data");
    studio.afmpeg("", "probe missing.mp4").fails(1, "missing.mp4");
}

#[test]
fn frames_saves_files_with_and_without_numbers() {
    let studio = Studio::new();
    studio
        .afmpeg("", &format!("frames {SOURCE} one.jpg --at 2 --width 320"))
        .ok();
    let json = studio
        .afmpeg("", &format!("frames {SOURCE} many.png --every 2 --height 90 --json"))
        .ok()
        .text();
    assert_eq!(studio.files("one"), ["one.jpg"]);
    assert_eq!(studio.files("many"), ["many-001.png", "many-002.png", "many-003.png"]);
    let described: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(described[2]["time_seconds"], 4.0);
    let probe = studio.probe("many-002.png");
    assert_eq!(
        (&probe["streams"][0]["width"], &probe["streams"][0]["height"]),
        (&160.into(), &90.into())
    );
    studio
        .afmpeg("", &format!("frames {SOURCE} sheet.gif"))
        .fails(2, ".png, .jpg or .jpeg");
    studio
        .afmpeg("", &format!("frames {SOURCE} late.png --at 99"))
        .fails(1, "99.000 s");
}

#[test]
fn batch_goes_on_where_it_was_cut_off() {
    let studio = Studio::new();
    let job = |id: &str, args: &[&str]| serde_json::json!({ "id": id, "args": args }).to_string();
    let good = job("good", &["-t", "1", "-i", SOURCE, "-c", "copy", "good.mkv"]);
    let bad = job("bad", &["-i", "missing.mp4", "bad.mkv"]);
    let probing = r#"{"id": "probing", "program": "ffprobe", "args": ["-v", "error", "-show_format", "source.mp4"]}"#;
    let slow = r#"{"id": "slow", "args": ["-re", "-i", "source.mp4", "-f", "null", "-"], "timeout": 0.5}"#;
    studio.write("jobs.jsonl", [&good, &bad, probing, slow].join("\n"));
    let first = studio
        .afmpeg("", "batch jobs.jsonl")
        .fails(1, "4 jobs, 0 done before, 2 done now, 2 failed");
    let outcomes = json_lines(&first.text());
    let outcome = |id: &str| outcomes.iter().find(|outcome| outcome["id"] == id).unwrap();
    assert_eq!(outcome("good")["status"], "done");
    assert!(outcome("bad")["error"].as_str().unwrap().contains("No such file"));
    assert_eq!(outcome("bad")["exit_code"], 254);
    assert!(
        outcome("probing")["stdout"]
            .as_str()
            .unwrap()
            .contains("format_name=mov")
    );
    assert!(outcome("slow")["error"].as_str().unwrap().contains("deadline"));
    assert_eq!(studio.packets("-i good.mkv -c copy -map 0:v").stream(0).len(), 25);

    // As if killed while it wrote its third result: what came before counts, and a changed job runs again.
    let results = studio.read_text("jobs.results.jsonl");
    let done = results.lines().find(|line| line.contains("\"good\"")).unwrap();
    let mut cut_off = format!("{done}\n{{\"id\":\"probing\",\"stdout\":\"\u{e9}").into_bytes();
    // Within a letter of several bytes.
    cut_off.pop();
    studio.write("jobs.results.jsonl", cut_off);
    std::fs::remove_file(studio.path("good.mkv")).unwrap();
    let bad = job("bad", &["-t", "1", "-i", SOURCE, "-c", "copy", "bad.mkv"]);
    studio.write("jobs.jsonl", [&good, &bad, probing].join("\n"));
    let second = studio.afmpeg("", "batch jobs.jsonl").ok();
    assert!(
        second.stderr.contains("3 jobs, 1 done before, 2 done now, 0 failed"),
        "{second}"
    );
    assert_eq!(json_lines(&second.text()).len(), 3);
    assert_eq!((studio.files("good").len(), studio.files("bad").len()), (0, 1));
    let third = studio.afmpeg("", "batch jobs.jsonl").ok();
    assert!(third.stderr.contains("3 jobs, 3 done before, 0 done now"), "{third}");

    studio.write("wrong.jsonl", format!("{good}\n{{\"id\": 7}}\n"));
    studio.afmpeg("", "batch wrong.jsonl").fails(5, "wrong.jsonl, line 2");
    studio.write("twice.jsonl", format!("{good}\n{good}\n"));
    studio
        .afmpeg("", "batch twice.jsonl")
        .fails(5, "another job with the id `good`");
}

#[test]
fn compile_info_completions_and_man_answer() {
    let studio = Studio::new();
    assert!(studio.afmpeg("", "compile").ok().stderr.starts_with("ready in "));
    let info: Value = serde_json::from_slice(&studio.afmpeg("", "info --json").ok().stdout).unwrap();
    assert!(
        info["ffmpeg"]["components"]["encoders"]
            .as_array()
            .unwrap()
            .contains(&"libopenh264".into())
    );
    assert!(studio.afmpeg("", "info").ok().text().contains("libopenh264"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            studio
                .afmpeg("", &format!("completions {shell}"))
                .ok()
                .text()
                .contains("batch")
        );
    }
    assert!(studio.afmpeg("", "man").ok().text().contains(".TH afmpeg"));
}

#[test]
fn a_bar_takes_the_place_of_ffmpegs_own_lines() {
    let studio = Studio::new();
    let ended = studio
        .afmpeg("--progress", &format!("ffmpeg -t 1 -i {SOURCE} -f null -"))
        .ok();
    // Of ffmpeg's own messages only the last lines remain.
    assert!(
        ended.stderr.contains("Input #0") && !ended.stderr.contains('\r'),
        "{ended}"
    );
}

#[test]
fn a_limit_is_named_beside_ffmpegs_own_exit_code() {
    let studio = Studio::new();
    let run = studio.afmpeg(
        "--written-max 100K",
        &format!("ffmpeg -v error -i {SOURCE} -c copy out.mkv"),
    );
    run.fails(
        134,
        "afmpeg: the job reached its limit: written_max_bytes is 102400, and it wanted ",
    );
}
