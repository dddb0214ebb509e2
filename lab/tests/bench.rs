//! `cargo xtask bench` with samples that were made up: what it says of them, and what it refuses.

#[path = "../../xtask/tests/support/mod.rs"]
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lab");

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Ended, Fixture, run};

/// Values that differ by as much as a quiet machine's do, the same each time.
fn noise(seed: u64, round: u64) -> f64 {
    let mixed = (seed * 31 + round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    1.0 + 0.02 * (mixed as f64 / f64::from(1 << 24) - 0.5)
}

fn header() -> Value {
    let module = |size_bytes: u64| json!({"sha256": "0", "size_bytes": size_bytes, "gzip_bytes": size_bytes / 3, "brotli_bytes": size_bytes / 4});
    json!({
        "kind": "header", "format_version": 1, "quick": false,
        "host": {"architecture": "x86_64", "system": "Linux", "kernel": "6.1", "processor": "a processor", "cores": 2,
                 "memory_bytes": 8_u64 << 30},
        "modules": {"o3-gpl": module(21_000_000), "oz-gpl": module(15_000_000), "o3-gpl-scalar": module(20_000_000),
                    "o3-lgpl": module(19_000_000), "o3-gpl-inlining": module(23_000_000)},
        "workloads_sha256": "0", "inputs_sha256": {"clip.mkv": "0"},
        "runners": {"native": "FFmpeg 9.0.2 by a compiler", "peer": "@ffmpeg/core 0.12.10 in node v20"}
    })
}

fn case(series: &str, workload: &str, encoding: Option<&str>, runner: &str) -> Value {
    json!({"series": series, "workload": workload, "encoding": encoding, "runner": runner, "instances": null,
           "cold": false})
}

/// A sample of a case that takes so long but for noise.
fn sample(mut case: Value, round: u64, seconds: f64) -> Value {
    let fields = case.as_object_mut().unwrap();
    fields.insert("kind".into(), "sample".into());
    fields.insert("round".into(), round.into());
    let measured = json!({
        "wall_seconds": seconds, "cpu_seconds": seconds, "memory_peak_bytes": 100_000_000, "compile_seconds": null,
        "load_seconds": 0.02, "instantiate_seconds": 0.0001, "guest_memory_peak_bytes": 80_000_000,
        "others_cpu_seconds": 0.01 * seconds
    });
    fields.insert("measured".into(), measured);
    fields.insert("output".into(), json!({"size_bytes": 500_000, "sha256": "output"}));
    case
}

/// Series, workload, encoding, runner, seconds.
type Made = (&'static str, &'static str, Option<&'static str>, &'static str, f64);

const MADE: [Made; 17] = [
    ("effort", "transcode-360p", Some("x264 ultrafast"), "o3-gpl", 1.0),
    ("effort", "transcode-360p", Some("x264 ultrafast"), "native", 0.5),
    ("effort", "transcode-360p", Some("x264 medium"), "o3-gpl", 5.0),
    ("effort", "transcode-360p", Some("x264 medium"), "native", 1.25),
    ("builds-x264", "transcode-360p", Some("x264 veryfast"), "o3-gpl", 2.0),
    ("builds-x264", "transcode-360p", Some("x264 veryfast"), "oz-gpl", 3.0),
    ("builds-x264", "transcode-360p", Some("x264 veryfast"), "native", 0.5),
    ("builds-x264", "transcode-360p", Some("x264 veryfast"), "native-c", 1.5),
    (
        "builds-openh264",
        "transcode-360p",
        Some("openh264 cabac 1M"),
        "o3-gpl",
        2.0,
    ),
    (
        "builds-openh264",
        "transcode-360p",
        Some("openh264 cabac 1M"),
        "oz-gpl",
        3.2,
    ),
    (
        "builds-openh264",
        "transcode-360p",
        Some("openh264 cabac 1M"),
        "o3-gpl-scalar",
        4.0,
    ),
    ("builds-decode", "thumbnail", None, "o3-gpl", 0.1),
    ("builds-decode", "thumbnail", None, "native", 0.05),
    ("reel", "reel", Some("x264 veryfast"), "o3-gpl", 70.0),
    ("levers-x264", "transcode-360p", Some("x264 slow"), "o3-gpl", 6.0),
    (
        "levers-x264",
        "transcode-360p",
        Some("x264 slow"),
        "o3-gpl-inlining",
        5.4,
    ),
    ("levers-kinds", "encode-aac", None, "o3-gpl", 1.0),
];

/// A file of samples, with some things slower than they were.
fn samples(fixture: &Fixture, name: &str, seed: u64, machine: f64, slower: impl Fn(&Made) -> f64) -> PathBuf {
    let mut lines = vec![header()];
    for round in 0..4 {
        for (position, made) in MADE.iter().enumerate() {
            let (series, workload, encoding, runner, seconds) = *made;
            let seconds = seconds * machine * slower(made) * noise(seed + position as u64, round);
            lines.push(sample(case(series, workload, encoding, runner), round, seconds));
        }
    }
    let mut unable = json!({"kind": "unable", "reason": "it ended with 8: Unknown encoder 'libx264'"});
    unable["case"] = case("builds-x264", "transcode-360p", Some("x264 veryfast"), "o3-lgpl");
    lines.push(unable);
    lines.push(json!({"kind": "quality", "output_sha256": "output", "psnr_db": 40.123, "ssim": 0.98}));
    lines.push(
        json!({"kind": "guest_profile", "workload": "transcode-360p", "encoding": "x264 medium", "runner": "o3-gpl",
                      "functions": [{"name": "satd", "share": 0.25}, {"name": "sad", "share": 0.125}]}),
    );
    let path = fixture.folder.path().join(name);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn expect(ended: &Ended, code: i32, texts: &[&str]) {
    ended.expect(code, &[]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for text in texts {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
}

fn compare(fixture: &Fixture, old: &PathBuf, new: &PathBuf) -> Ended {
    let mut command = fixture.command(&["bench", "--compare"]);
    command.args([old, new]);
    run(command)
}

#[test]
fn noise_is_no_change_and_a_slower_machine_is_none_either() {
    let fixture = Fixture::new();
    let old = samples(&fixture, "old", 1, 1.0, |_| 1.0);
    for seed in 2..12 {
        let new = samples(&fixture, "new", 100 * seed, 1.0, |_| 1.0);
        expect(&compare(&fixture, &old, &new), 0, &["0 slower, 0 faster"]);
    }
    // Half as fast a machine is half as fast natively too; without a native pair the two can't be told apart.
    let slow = samples(&fixture, "slow", 7, 2.0, |made| match made.0 {
        "builds-openh264" | "reel" | "levers-x264" | "levers-kinds" => 0.5,
        _ => 1.0,
    });
    expect(&compare(&fixture, &old, &slow), 0, &["0 slower, 0 faster"]);
}

#[test]
fn a_regression_is_named_and_fails() {
    let fixture = Fixture::new();
    let old = samples(&fixture, "old", 1, 1.0, |_| 1.0);
    let new = samples(&fixture, "new", 2, 1.0, |made| match made {
        (_, _, Some("x264 medium"), "o3-gpl", _) => 1.08,
        (_, "thumbnail", _, "o3-gpl", _) => 0.8,
        _ => 1.0,
    });
    let wanted = [
        "slower",
        "x264 medium on o3-gpl",
        "faster",
        "thumbnail on o3-gpl",
        "1 slower, 1 faster",
    ];
    expect(&compare(&fixture, &old, &new), 1, &wanted);
}

#[test]
fn a_run_that_lacks_what_the_old_one_had_fails() {
    let fixture = Fixture::new();
    let old = samples(&fixture, "old", 1, 1.0, |_| 1.0);
    let text = fs::read_to_string(&old).unwrap();
    let new = fixture.folder.path().join("new");
    let compared = |kept: &dyn Fn(&Value) -> bool| {
        let is_kept = |line: &&str| kept(&serde_json::from_str(line).unwrap());
        let lines: String = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
        fs::write(&new, lines).unwrap();
        compare(&fixture, &old, &new)
    };
    expect(&compared(&|_| true), 0, &["0 slower, 0 faster"]);
    // Of a run that was ended at once, and of one that was ended in its third round.
    let nothing = ["thumbnail on o3-gpl has 0 values and had 4", "no case has 3 values"];
    expect(&compared(&|line| line["kind"] == "header"), 1, &nothing);
    let interrupted = compared(&|line| line["round"].as_u64().is_none_or(|round| round < 2));
    expect(&interrupted, 1, &["encode-aac on o3-gpl has 2 values and had 4"]);
    let one = |line: &Value| line["runner"] == "oz-gpl" && line["workload"] == "transcode-360p";
    let wanted = [
        "x264 veryfast on oz-gpl has 0 values",
        "openh264 cabac 1M on oz-gpl has 0",
    ];
    expect(&compared(&|line| !one(line)), 1, &wanted);
    // Native FFmpeg is no module, and one round fewer can still be judged.
    expect(&compared(&|line| line["runner"] != "native-c"), 0, &["0 slower"]);
    expect(&compared(&|line| line["round"] != 3), 0, &["0 slower, 0 faster"]);
}

#[test]
fn samples_of_something_else_are_refused() {
    let fixture = Fixture::new();
    let old = samples(&fixture, "old", 1, 1.0, |_| 1.0);
    let text = fs::read_to_string(&old).unwrap();
    let other = fixture.folder.path().join("other");
    fs::write(&other, text.replace("\"format_version\":1", "\"format_version\":2")).unwrap();
    compare(&fixture, &old, &other).expect(2, &["format version 2", "other"]);
    fs::write(&other, text.replacen("\"round\":0", "\"rounds\":0", 1)).unwrap();
    compare(&fixture, &old, &other).expect(2, &["line 2", "round"]);
    compare(&fixture, &old, &fixture.folder.path().join("nowhere")).expect(2, &["nowhere"]);
}

/// Writes the report into a page of the repository; returns the page.
fn report(fixture: &Fixture, samples: &Path, page: &str) -> String {
    let path = fixture.root().join("docs/performance.md");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, page).unwrap();
    let mut command = fixture.command(&["bench", "--report", "--samples"]);
    command.arg(samples);
    expect(&run(command), 0, &["docs/performance.md"]);
    fs::read_to_string(path).unwrap()
}

/// The plots of a repository by their names.
fn plots(root: &Path) -> BTreeMap<String, String> {
    let files = support::files_in(&root.join("docs/performance"));
    let files = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "svg"));
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    files
        .map(|file| (name(&file), fs::read_to_string(&file).unwrap()))
        .collect()
}

#[test]
fn the_tables_follow_from_the_samples() {
    let fixture = Fixture::new();
    let path = samples(&fixture, "samples", 1, 1.0, |_| 1.0);
    let blocks = [
        "host",
        "profiles",
        "encodings",
        "work",
        "instances",
        "cores",
        "start",
        "functions",
        "levers",
        "unable",
        "workloads",
    ];
    let page: String = blocks
        .iter()
        .map(|block| format!("Of {block}:\n\n<!-- begin {block} -->\n<!-- end {block} -->\n\n"))
        .collect();
    let filled = report(&fixture, &path, &page);
    assert_eq!(report(&fixture, &path, &filled), filled);
    let plots = plots(&fixture.root());
    let names: Vec<&String> = plots.keys().collect();
    assert_eq!(
        names,
        [
            "functions-transcode-360p.svg",
            "instances.svg",
            "size-and-speed.svg",
            "times-native.svg"
        ]
    );
    assert!(plots.values().all(|text| text.starts_with("<svg")));
    insta::assert_snapshot!(filled);

    fs::write(
        fixture.root().join("docs/performance.md"),
        page.replace("begin levers", "begin lovers"),
    )
    .unwrap();
    let mut command = fixture.command(&["bench", "--report", "--samples"]);
    command.arg(&path);
    run(command).expect(2, &["docs/performance.md", "the block lovers"]);
}

#[test]
fn the_page_is_that_of_the_published_samples() {
    let fixture = Fixture::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/performance.md")).unwrap();
    let filled = report(&fixture, &root.join("bench/results/full.jsonl"), &page);
    // Not the texts, which are long: what differs is seen when it has been done.
    let hint = "`cargo xtask bench --report` has not been run";
    assert!(filled == page, "{hint}");
    assert!(
        plots(&fixture.root()) == plots(root),
        "{hint}, or there is a plot that it does not draw"
    );
}

#[test]
fn samples_of_a_series_that_is_gone_are_named() {
    let fixture = Fixture::new();
    let path = samples(&fixture, "samples", 1, 1.0, |_| 1.0);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"reel\"", "\"real\"")).unwrap();
    let mut command = fixture.command(&["bench", "--report", "--samples"]);
    command.arg(&path);
    run(command).expect(2, &["no series real"]);
}

#[test]
fn faults_of_the_kernels_tables_are_named() {
    let fixture = Fixture::new();
    let page = fixture.root().join("docs/performance/kernels.md");
    run(fixture.command(&["kernels"])).expect(3, &["docs/performance/kernels.md"]);
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, "<!-- begin x264 -->\n<!-- end x264 -->\n").unwrap();
    run(fixture.command(&["kernels"])).expect(2, &["docs/performance/kernels.md", "there is no block dav1d"]);
    let path = fixture.root().join("bench/kernels.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen("prints = \"lines\"", "prints = \"line\"", 1)).unwrap();
    run(fixture.command(&["kernels"])).expect(2, &["bench/kernels.toml:", "`line`"]);
    fs::write(&path, good.replacen("\"by hand\"]", "\"by foot\"]", 1)).unwrap();
    run(fixture.command(&["kernels"])).expect(2, &["bench/kernels.toml", "no column \"by foot\""]);
    run(fixture.command(&["kernels", "--runs", "0"])).expect(2, &["--runs"]);
}

#[test]
fn a_typo_in_the_workloads_is_named() {
    let fixture = Fixture::new();
    let path = fixture.root().join("bench/workloads.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (bad, wanted) in [
        (good.replacen("rounds =", "round =", 1), "round"),
        (
            good.replacen("\"o2-gpl\"", "\"o9-gpl\"", 1),
            "there is no runner o9-gpl",
        ),
        (good.replacen("\"levers\"", "\"lovers\"", 1), "lovers"),
        (
            good.replacen("[\"clip.mkv\"]", "[\"clop.mkv\"]", 1),
            "there is no input clop.mkv",
        ),
    ] {
        fs::write(&path, bad).unwrap();
        run(fixture.command(&["bench", "--list"])).expect(2, &["bench/workloads.toml", wanted]);
    }
    fs::write(&path, good).unwrap();
    run(fixture.command(&["bench", "--list", "--filter", "nothing"])).expect(2, &["nothing", "effort"]);
    let listed = run(fixture.command(&["bench", "--list", "--filter", "reel"]));
    expect(&listed, 0, &["reel: reel, x264 veryfast on o3-gpl"]);
}

#[test]
fn a_measurement_has_its_phases_and_a_failure_its_reason() {
    let fixture = Fixture::new();
    let module = fixture.folder.path().join("tiny.wasm");
    fs::write(
        &module,
        wat::parse_str(include_str!("../../runtime/tests/support/tiny.wat")).unwrap(),
    )
    .unwrap();
    let folder = fixture.folder.path().join("job");
    fs::create_dir(&folder).unwrap();
    let sample = |cold: bool, module: &PathBuf| {
        let subject =
            json!({"path": module, "compiled": fixture.cache().join("compiled"), "cold": cold, "all_cores": false});
        let request = json!({"subject": {"Module": subject}, "folders": [folder, folder], "at_a_time": 2,
                             "arguments": ["ffmpeg", "-version"]});
        run(fixture.command(&["sample", &request.to_string()]))
    };
    for (cold, phase, other) in [
        (true, "compile_seconds", "load_seconds"),
        (false, "load_seconds", "compile_seconds"),
    ] {
        let ended = sample(cold, &module);
        ended.expect(0, &[]);
        let measured: Value = serde_json::from_str(&ended.stdout).unwrap();
        for name in [
            "wall_seconds",
            "cpu_seconds",
            "memory_peak_bytes",
            "instantiate_seconds",
            phase,
        ] {
            assert!(measured[name].as_f64().unwrap() >= 0.0, "{name} in {measured}");
        }
        assert!(measured[other].is_null());
    }
    sample(false, &fixture.folder.path().join("nothing.wasm")).expect(1, &["nothing.wasm"]);
}
