//! Measures what the queue costs, for docs/cluster.md, with a server and a store that it starts itself.
//!
//! `cargo bench --package afmpeg --features command,cluster --bench cluster -- --jobs 10000 --out measured.json`, on a machine that does
//! nothing else. Without `--jobs` it takes 500, for a quick look. What it writes with `--out` is what
//! `cargo run --package afmpeg --example cluster_simulation -- measured.json` computes with.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![allow(dead_code, reason = "what tests have besides")]

#[path = "../tests/support/engine.rs"]
mod engine;
#[path = "../tests/cluster/house.rs"]
mod house;
#[path = "../tests/support/inputs.rs"]
mod inputs;
#[path = "../tests/cluster/servers.rs"]
mod servers;

use house::House;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

struct Args {
    jobs: usize,
    idle_seconds: u64,
    out: Option<PathBuf>,
}

fn args() -> Args {
    let mut found = Args {
        jobs: 500,
        idle_seconds: 60,
        out: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || {
            words.next().unwrap_or_else(|| {
                eprintln!("{word} needs a value");
                std::process::exit(2)
            })
        };
        match word.as_str() {
            "--jobs" => found.jobs = value().parse().unwrap(),
            "--idle" => found.idle_seconds = value().parse().unwrap(),
            "--out" => found.out = Some(value().into()),
            // Cargo's own.
            "--bench" => {}
            _ => {
                eprintln!("unknown: {word}; there are --jobs COUNT, --idle SECONDS and --out PATH");
                std::process::exit(2)
            }
        }
    }
    found
}

fn main() {
    servers::serve_if_asked();
    let args = args();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of this machine at the beginning: {}", load.trim());
    overhead();
    idle(args.idle_seconds);
    let thumbnails = thumbnails(args.jobs);
    let segments = segments();
    let measured = json!({
        "load_at_the_beginning": load.trim(),
        "queue_seconds_per_job": thumbnails.queue_seconds,
        "store_seconds_per_job": thumbnails.store_seconds,
        "join_seconds_per_segment": segments.join_seconds,
        "works": [
            {"name": "a thumbnail", "compute_seconds": thumbnails.run_seconds, "moved_bytes": thumbnails.moved_bytes},
            {"name": "a segment", "compute_seconds": segments.run_seconds, "moved_bytes": segments.moved_bytes},
        ],
    });
    match &args.out {
        Some(path) => fs::write(path, format!("{measured:#}\n")).unwrap(),
        None => println!("{measured:#}"),
    }
}

/// What a process has taken of a core until now, all its threads together.
fn cpu_seconds(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name in brackets may have spaces.
    let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    // SAFETY: the call asks for a number of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / ticks
}

/// A line of a process's status, in kilobytes or as a number.
fn status_of(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How often the threads of a process have been woken that there are now.
fn wake_ups(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let counts = texts.filter_map(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    });
    counts.sum()
}

/// Seconds that a list of jobs takes in `afmpeg batch`.
fn batch(house: &House, parallel: usize, jobs: &[Value]) -> f64 {
    let list = house.folder.path().join("batch.jsonl");
    let lines: Vec<String> = jobs.iter().map(Value::to_string).collect();
    fs::write(&list, lines.join("\n")).unwrap();
    let results = house.folder.path().join("batch.results.jsonl");
    let _ = fs::remove_file(&results);
    let started = Instant::now();
    let output = house
        .command(house.nats.port)
        .args(["batch", "--parallel", &parallel.to_string()])
        .arg(&list)
        .output()
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", house::words(&output));
    seconds
}

/// Seconds that they take in the queue, with their results.
fn queue(house: &House, jobs: &[Value]) -> (f64, Vec<Value>) {
    let list = house.list(jobs);
    let started = Instant::now();
    let output = house.run(&["submit", "--wait", &list]);
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", house::words(&output));
    (seconds, house::lines(&output.stdout))
}

/// The same job, for `batch` with its output below the current folder, or for the queue.
fn picture(id: &str, output: Option<&str>) -> Value {
    let source = "color=c=red:size=32x32:duration=0.04";
    let name = match output {
        Some(_) => "out.png".to_owned(),
        None => format!("shared/batch-{id}.png"),
    };
    let args = ["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", &name];
    match output {
        Some(address) => json!({"id": id, "args": args, "outputs": {"out.png": address}}),
        None => json!({"id": id, "args": args}),
    }
}

fn overhead() {
    const COUNT: usize = 300;
    let house = House::new();
    let _worker = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    let list = |kind: &str, count: usize| -> Vec<Value> {
        let ids = (0..count).map(|index| format!("{kind}-{index:05}"));
        ids.map(|id| {
            let file = house.file(&format!("{id}.png"));
            let object = format!("s3://media/{id}.png");
            picture(
                &id,
                match kind.split('-').next().unwrap() {
                    "batch" => None,
                    "store" => Some(&object),
                    _ => Some(&file),
                },
            )
        })
        .collect()
    };
    // What starting takes is not counted: twice as many jobs, without as many.
    let batch_seconds = {
        let (once, twice) = (list("batch-a", COUNT), list("batch-b", 2 * COUNT));
        (batch(&house, 1, &twice) - batch(&house, 1, &once)) / COUNT as f64
    };
    queue(&house, &list("file-warm", 5));
    let per_job = |kind: &str| {
        let (once, twice) = (list(&format!("{kind}-a"), COUNT), list(&format!("{kind}-b"), 2 * COUNT));
        (queue(&house, &twice).0 - queue(&house, &once).0) / COUNT as f64
    };
    let (file_seconds, store_seconds) = (per_job("file"), per_job("store"));
    let milliseconds = |seconds: f64| 1000.0 * seconds;
    println!("| a picture of 32x32, one at a time | ms each | more than `batch`, ms |");
    println!("|---|--:|--:|");
    println!("| `batch` | {:.1} | |", milliseconds(batch_seconds));
    for (name, seconds) in [
        ("queue and folder", file_seconds),
        ("queue and S3 server", store_seconds),
    ] {
        println!(
            "| {name} | {:.1} | {:.1} |",
            milliseconds(seconds),
            milliseconds(seconds - batch_seconds)
        );
    }
    let mut alone: Vec<f64> = list("file-alone", 21)
        .iter()
        .map(|job| queue(&house, std::slice::from_ref(job)).0)
        .collect();
    alone.sort_by(f64::total_cmp);
    println!(
        "\none job alone, from `submit --wait` to its end: {:.0} ms\n",
        milliseconds(alone[10])
    );
}

fn idle(seconds: u64) {
    let house = House::new();
    let worker = house.worker("one");
    house.wait_for("the worker", || house.log("one").contains("takes up to"));
    std::thread::sleep(Duration::from_secs(3));
    let process = worker.0.id();
    let measure = |when: &str| {
        let (cpu, woken) = (cpu_seconds(process), wake_ups(process));
        std::thread::sleep(Duration::from_secs(seconds));
        println!(
            "a worker that waits, {when}: {:.1} MB resident ({:.1} MB of files), {} threads, {:.3} % of a core over {seconds} s, woken {:.1} times a second",
            status_of(process, "VmRSS") as f64 / 1000.0,
            status_of(process, "RssFile") as f64 / 1000.0,
            status_of(process, "Threads"),
            100.0 * (cpu_seconds(process) - cpu) / seconds as f64,
            wake_ups(process).saturating_sub(woken) as f64 / seconds as f64
        );
    };
    measure("from its start");
    queue(&house, &[picture("1", Some(&house.file("1.png")))]);
    measure("after a job");
    println!();
}

struct Thumbnails {
    run_seconds: f64,
    moved_bytes: f64,
    queue_seconds: f64,
    store_seconds: f64,
}

/// Ten seconds of 720p.
fn video(house: &House) {
    let path = house.shared("in.mp4");
    let args = "-v error -f lavfi -i testsrc2=size=1280x720:rate=25:duration=10 -c:v libx264 -preset veryfast -g 50";
    let output = house
        .command(house.nats.port)
        .arg("--dir")
        .arg(house.shared(""))
        .arg("ffmpeg")
        .args(args.split(' '))
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", house::words(&output));
}

fn mean(results: &[Value], of: impl Fn(&Value) -> f64) -> f64 {
    results.iter().map(of).sum::<f64>() / results.len() as f64
}

fn thumbnails(count: usize) -> Thumbnails {
    let house = House::new();
    video(&house);
    let args = |input: &str, output: &str| {
        json!([
            "-v",
            "error",
            "-ss",
            "5",
            "-i",
            input,
            "-frames:v",
            "1",
            "-vf",
            "scale=320:-2",
            output
        ])
    };
    let batch_jobs: Vec<Value> = (0..count)
        .map(|index| json!({"id": index.to_string(), "args": args("shared/in.mp4", &format!("shared/batch-{index}.jpg"))}))
        .collect();
    let job = |kind: &str, index: usize, input: &str, output: &str| {
        json!({
            "id": format!("{kind}-{index}"), "args": args("in.mp4", "out.jpg"),
            "inputs": {"in.mp4": input}, "outputs": {"out.jpg": output},
        })
    };
    let in_folder: Vec<Value> = (0..count)
        .map(|index| {
            let output = house.file(&format!("queue-{index}.jpg"));
            job("folder", index, &house.file("in.mp4"), &output)
        })
        .collect();
    let workers = ["one", "two"].map(|name| house.worker_at(house.nats.port, name, &["--jobs", "1"]));
    queue(
        &house,
        &[
            picture("w1", Some(&house.file("w1.png"))),
            picture("w2", Some(&house.file("w2.png"))),
        ],
    );
    let batch_seconds = batch(&house, 2, &batch_jobs);
    let cpu = || [house.nats.id(), workers[0].0.id(), workers[1].0.id()].map(cpu_seconds);
    let before = cpu();
    let (queue_seconds, results) = queue(&house, &in_folder);
    let after = cpu();
    let spent: Vec<f64> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| after - before)
        .collect();
    println!("| {count} thumbnails of 720p, two at a time | s | jobs a second |");
    println!("|---|--:|--:|");
    for (name, seconds) in [("`batch`", batch_seconds), ("two workers", queue_seconds)] {
        println!("| {name} | {seconds:.2} | {:.1} |", count as f64 / seconds);
    }
    println!(
        "\ntwo workers take {:+.1} % more than `batch`; of a core, for each job: the workers {:.1} ms, of which programs {:.1} ms, and the server {:.2} ms",
        100.0 * (queue_seconds / batch_seconds - 1.0),
        1000.0 * (spent[1] + spent[2]) / count as f64,
        1000.0 * mean(&results, |result| result["run_seconds"].as_f64().unwrap()),
        1000.0 * spent[0] / count as f64
    );
    // From store to store, for what the store has to do.
    fs::copy(house.shared("in.mp4"), house.folder.path().join("store/media/in.mp4")).unwrap();
    let stored = count.min(500);
    let in_store: Vec<Value> = (0..stored)
        .map(|index| job("store", index, "s3://media/in.mp4", &format!("s3://media/{index}.jpg")))
        .collect();
    let before = cpu_seconds(house.store.id());
    let (store_seconds, stored_results) = queue(&house, &in_store);
    let store_cpu = (cpu_seconds(house.store.id()) - before) / stored as f64;
    println!(
        "from store to store: {:.1} jobs a second; the S3 server of this test takes {:.2} ms of a core for each\n",
        stored as f64 / store_seconds,
        1000.0 * store_cpu
    );
    let moved = |result: &Value| result["bytes_read"].as_f64().unwrap() + result["bytes_written"].as_f64().unwrap();
    Thumbnails {
        run_seconds: mean(&results, |result| result["run_seconds"].as_f64().unwrap()),
        moved_bytes: mean(&stored_results, moved),
        queue_seconds: spent[0] / count as f64,
        store_seconds: store_cpu,
    }
}

struct Segments {
    run_seconds: f64,
    moved_bytes: f64,
    join_seconds: f64,
}

/// A film of a minute of 720p: what its segments take, and what joining them takes for each.
fn segments() -> Segments {
    let house = House::new();
    video(&house);
    let looped = "-v error -y -stream_loop 5 -i in.mp4 -c copy film.mp4";
    let output = house
        .command(house.nats.port)
        .current_dir(house.shared(""))
        .arg("ffmpeg")
        .args(looped.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", house::words(&output));
    let _worker = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    let job = json!({
        "id": "film", "args": ["-i", "film.mp4", "-c:v", "libx264", "-preset", "medium", "out.mp4"],
        "parallel": true, "work": house.file("work"),
        "inputs": {"film.mp4": house.file("film.mp4")}, "outputs": {"out.mp4": house.file("out.mp4")},
    });
    let (_, results) = queue(&house, &[job]);
    let count = results[0]["segments"].as_f64().unwrap();
    // What is told of the whole is told of the program that joins.
    let join_seconds = results[0]["run_seconds"].as_f64().unwrap() / count;
    let log = house.log("one");
    let took = log.lines().filter(|line| line.contains('/')).filter_map(|line| {
        let (_, seconds) = line.split_once(": done in ")?;
        seconds.trim_end_matches(" s").parse::<f64>().ok()
    });
    let run_seconds = took.sum::<f64>() / count;
    let length = |name: &str| fs::metadata(house.shared(name)).unwrap().len() as f64 / count;
    println!(
        "a film of a minute of 720p in {count} segments: each {run_seconds:.2} s and {:.0} kB; joining takes {:.1} ms for each\n",
        length("out.mp4") / 1000.0,
        1000.0 * join_seconds
    );
    Segments {
        run_seconds,
        // It is read and written, and read again by who joins.
        moved_bytes: length("film.mp4") + 2.0 * length("out.mp4"),
        join_seconds,
    }
}
