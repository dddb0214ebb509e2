//! One long job on several workers.

use crate::engine;
use crate::house::House;
use crate::inputs;
use afmpeg::cluster::Key;
use afmpeg::{Access, Parallel};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A minute of moving pictures with sound.
fn source(house: &House) {
    let output = house.run(&[
        "--dir",
        house.shared("").to_str().unwrap(),
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25:duration=60",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=60",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "50",
        "-c:a",
        "aac",
        house.shared("in.mkv").to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const ARGS: [&str; 10] = [
    "-i",
    "in.mkv",
    "-vf",
    "scale=-2:144",
    "-c:v",
    "libx264",
    "-preset",
    "medium",
    "-c:a",
    "copy",
];

fn job(house: &House, id: &str) -> Value {
    let args: Vec<&str> = ARGS.into_iter().chain(["out.mp4"]).collect();
    json!({
        "id": id, "args": args, "parallel": true, "work": "s3://media/work",
        "inputs": {"in.mkv": house.file("in.mkv")}, "outputs": {"out.mp4": format!("s3://media/{id}.mp4")},
    })
}

/// What one machine makes of it.
fn expected(house: &House) -> Vec<u8> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    let runtime = engine::builder()
        .cache_folder(cache)
        .from_file(inputs::module())
        .unwrap();
    let command = Parallel::new(ARGS.into_iter().chain(["out.mp4"])).required();
    let done = runtime.run_parallel(&command, |job| job.dir(".", house.shared(""), Access::ReadWrite));
    assert!(done.unwrap().segments > 5);
    fs::read(house.shared("out.mp4")).unwrap()
}

#[test]
fn a_minute_of_video_on_three_workers_is_the_same_as_on_one_machine() {
    let house = House::new();
    source(&house);
    let mut workers: Vec<_> = ["one", "two", "three"]
        .map(|name| house.worker_at(house.nats.port, name, &["--jobs", "1"]))
        .into();
    let job = job(&house, "long");
    house.submit(std::slice::from_ref(&job));
    let made = || segments(&house).len();
    let started = Instant::now();
    while made() < 2 {
        assert!(started.elapsed() < Duration::from_secs(120));
        thread::sleep(Duration::from_millis(20));
    }
    // Perhaps the one that joins; what was made is not lost.
    let joins = house.status(&job)["worker"].as_str().unwrap().to_owned();
    let index = ["one", "two", "three"].iter().position(|name| *name == joins).unwrap();
    workers[index].kill();
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(result["status"], "done", "{result}");
    assert!(result["segments"].as_u64().unwrap() > 5, "{result}");
    assert_eq!(result["attempts"], 2);
    assert!(
        house.store.object("media/long.mp4").unwrap() == expected(&house),
        "the same bytes"
    );
    assert_eq!(made(), 0, "segments are removed");
    let done: Vec<usize> = ["one", "two", "three"]
        .map(|name| house.log(name).matches("done in").count())
        .into();
    assert!(done.iter().filter(|count| **count > 1).count() >= 2, "{done:?}");
}

#[test]
fn a_coordinator_that_has_lost_its_job_leaves_the_segments_to_the_next() {
    let house = House::new();
    source(&house);
    let one = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    let job = job(&house, "long");
    house.submit(std::slice::from_ref(&job));
    house.wait_for("the segments", || house.queued() > 5);
    let messages = house.messages();
    one.signal(libc::SIGSTOP);
    let _two = house.worker_at(house.nats.port, "two", &["--jobs", "1"]);
    house.wait_for("the job is taken over", || house.status(&job)["worker"] == "two");
    one.signal(libc::SIGCONT);
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("two")),
        "{result}"
    );
    assert!(
        house.log("one").contains("long: cancelled, or taken over"),
        "{}",
        house.log("one")
    );
    // A worker of another module would make something else of them.
    let module = Key::of(&fs::read(inputs::module()).unwrap());
    for segment in messages.iter().filter(|message| message["stdout"].is_string()) {
        assert_eq!(segment["module"], format!("sha256:{module}"), "{segment}");
    }
}

/// The segments that lie in the store.
fn segments(house: &House) -> Vec<PathBuf> {
    let work = house.folder.path().join("store/media/work");
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let folders = below(&work).into_iter().flat_map(|folder| below(&folder));
    let files = folders.flat_map(|folder| below(&folder));
    let is_whole = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".mp4") && !name.starts_with('.')
    };
    files.filter(is_whole).collect()
}

#[test]
fn a_parallel_job_that_failed_or_was_cancelled_is_done_when_it_is_submitted_again() {
    let house = House::new();
    source(&house);
    // A join that has no room fails, and its segments have it.
    fs::write(house.folder.path().join("policy.toml"), "spool_max_bytes = 10000").unwrap();
    let job = job(&house, "long");
    let mut one = house.worker_at(house.nats.port, "one", &["--policy", "policy.toml"]);
    house.submit(std::slice::from_ref(&job));
    house.wait_for("the segments", || house.queued() > 5);
    let cancelled = house.run(&["cancel", &house.list(std::slice::from_ref(&job))]);
    assert!(cancelled.status.success());
    house.wait_for("the segments are cancelled", || house.queued() == 0);
    let failed = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(failed["status"], "failed", "{failed}");
    assert!(!failed["error"].as_str().unwrap().contains("the segment"), "{failed}");
    let made = segments(&house);
    assert!(made.len() > 5, "{made:?}");
    // One of them is gone, as where a store ends what is old.
    fs::remove_file(&made[2]).unwrap();
    one.terminate();
    one.0.wait().unwrap();
    let _two = house.worker("two");
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(result["status"], "done", "{result}: {}", house.log("two"));
    assert!(house.store.object("media/long.mp4").unwrap() == expected(&house));
    assert_eq!(segments(&house), Vec::<PathBuf>::new());
    let made_again = house.log("two").matches("done in").count();
    assert_eq!(made_again, 2, "a segment and the job: {}", house.log("two"));
}

#[test]
fn a_worker_waits_for_the_segments_of_a_few_jobs_at_a_time() {
    let house = House::new();
    source(&house);
    let _worker = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    let jobs = ["a", "b", "c", "d"].map(|id| job(&house, id));
    house.submit(&jobs);
    let begun = || {
        jobs.iter()
            .filter(|job| house.status(job)["status"] == "running")
            .count()
    };
    house.wait_for("two that have begun", || begun() >= 2);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(begun(), 2);
        thread::sleep(Duration::from_millis(100));
    }
    let [.., c, d] = &jobs;
    for job in [c, d] {
        assert_eq!(house.state(job), Value::Null, "it counts as no attempt");
    }
}

#[test]
fn what_cannot_be_cut_is_done_by_one_and_a_failure_has_its_reason() {
    let house = House::new();
    source(&house);
    let _worker = house.worker("one");
    let mut whole = job(&house, "whole");
    whole["args"] = json!(["-v", "error", "-i", "in.mkv", "-t", "2", "-c", "copy", "out.mp4"]);
    let mut refused = job(&house, "refused");
    refused["work"] = json!("s3://elsewhere/work");
    let results = house.results(&[refused, whole]);
    assert!(
        results[0]["error"].as_str().unwrap().contains("s3://elsewhere/work"),
        "{results:?}"
    );
    assert_eq!(
        (&results[1]["status"], &results[1]["segments"]),
        (&json!("done"), &Value::Null)
    );
}
