//! What becomes of a queue with a thousand workers: where its server, the store and the join become the limit.
//!
//! `cargo run --package afmpeg --example cluster_simulation -- measured.json`, with what `cargo bench --bench cluster -- --out
//! measured.json` has measured; without a file it takes that of docs/performance/cluster.json, if that is there. What is not measured is assumed, and may be
//! said by options:
//!
//!   --queue-cores COUNT      cores of the queue's server (1)
//!   --store-cores COUNT      as many of the measured store's process stand for the store (64)
//!   --store-gbit COUNT       the store's network, in gigabits a second (100)
//!
//! Each worker takes a job, reads its input, computes, writes its output and ends the job, again and again. The server of the queue and
//! the store serve one request after another, as fast as all their cores together; a worker that is not served waits. A film is cut into
//! segments of as long as was measured, which are taken in turn, and joined by one worker.

use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::process::ExitCode;

/// What was measured.
#[derive(Deserialize)]
struct Measured {
    /// What the server of the queue takes of a core for each job.
    queue_seconds_per_job: f64,
    /// What the store's process takes of a core.
    store_seconds_per_job: f64,
    join_seconds_per_segment: f64,
    works: Vec<Work>,
}

#[derive(Deserialize)]
struct Work {
    name: String,
    compute_seconds: f64,
    moved_bytes: f64,
}

/// What is assumed.
struct Assumed {
    queue_cores: f64,
    store_cores: f64,
    store_bytes_per_second: f64,
}

/// Serves one request after another.
#[derive(Default)]
struct Server {
    free_at: f64,
    busy_seconds: f64,
}

impl Server {
    /// When a request is served that comes at this time and takes so long.
    fn serve(&mut self, time: f64, seconds: f64) -> f64 {
        self.busy_seconds += seconds;
        self.free_at = self.free_at.max(time) + seconds;
        self.free_at
    }
}

/// A time in nanoseconds, so that it has an order, and the step that a worker is at.
type Event = Reverse<(u64, usize, u8)>;

fn event(time: f64, worker: usize, step: u8) -> Event {
    Reverse(((time * 1e9) as u64, worker, step))
}

/// What half a job asks of the two servers: before it computes, and after.
struct Halves {
    queue_seconds: f64,
    store_seconds: f64,
}

impl Halves {
    fn of(work: &Work, measured: &Measured, assumed: &Assumed) -> Halves {
        let moving = work.moved_bytes / assumed.store_bytes_per_second;
        Halves {
            queue_seconds: measured.queue_seconds_per_job / assumed.queue_cores / 2.0,
            store_seconds: (measured.store_seconds_per_job / assumed.store_cores + moving) / 2.0,
        }
    }
}

struct Result {
    done: u64,
    seconds: f64,
    queue_load: f64,
    store_load: f64,
}

/// Runs until this many jobs are done, or for so long.
fn simulate(work: &Work, halves: &Halves, workers: usize, jobs_max: u64, seconds_max: f64, together: bool) -> Result {
    let (mut queue, mut store) = (Server::default(), Server::default());
    let first = |worker: usize| match together {
        true => 0.0,
        // Jobs of many do not begin at the same time.
        false => work.compute_seconds * worker as f64 / workers as f64,
    };
    let mut events: BinaryHeap<Event> = (0..workers).map(|worker| event(first(worker), worker, 0)).collect();
    let (mut begun, mut done, mut time) = (0, 0, 0.0);
    while let Some(Reverse((nanoseconds, worker, step))) = events.pop() {
        let now = nanoseconds as f64 * 1e-9;
        if now > seconds_max {
            time = seconds_max;
            break;
        }
        time = now;
        let next = match step {
            0 if begun == jobs_max => continue,
            0 | 4 => queue.serve(time, halves.queue_seconds),
            1 | 3 => store.serve(time, halves.store_seconds),
            _ => time + work.compute_seconds,
        };
        begun += u64::from(step == 0);
        if step == 4 {
            done += 1;
            time = next;
        }
        events.push(event(next, worker, (step + 1) % 5));
    }
    Result {
        done,
        seconds: time,
        queue_load: queue.busy_seconds / time,
        store_load: store.busy_seconds / time,
    }
}

const WORKERS: [usize; 4] = [1, 10, 100, 1000];
/// A film of two hours, in segments as of the measured minute.
const FILM_SEGMENTS: u64 = 1440;

fn percent(share: f64) -> f64 {
    100.0 * share.min(1.0)
}

fn jobs(measured: &Measured, assumed: &Assumed) {
    println!(
        "| job | workers | jobs a second | of what the workers could do | the queue is busy | the store is busy |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for work in &measured.works {
        let halves = Halves::of(work, measured, assumed);
        for workers in WORKERS {
            let duration = 40.0 * work.compute_seconds;
            let result = simulate(work, &halves, workers, u64::MAX, duration, false);
            let per_second = result.done as f64 / result.seconds;
            println!(
                "| {} of {:.2} s | {workers} | {per_second:.1} | {:.0} % | {:.1} % | {:.1} % |",
                work.name,
                work.compute_seconds,
                percent(per_second * work.compute_seconds / workers as f64),
                percent(result.queue_load),
                percent(result.store_load),
            );
        }
    }
}

fn limits(measured: &Measured, assumed: &Assumed) {
    println!("\n| job | workers that fill the queue's server | that fill the store |");
    println!("|---|--:|--:|");
    for work in &measured.works {
        let halves = Halves::of(work, measured, assumed);
        let rounds = |seconds: f64| (work.compute_seconds / seconds / 2.0).ceil();
        println!(
            "| {} of {:.2} s | {:.0} | {:.0} |",
            work.name,
            work.compute_seconds,
            rounds(halves.queue_seconds),
            rounds(halves.store_seconds)
        );
    }
}

fn film(measured: &Measured, assumed: &Assumed) {
    let Some(work) = measured.works.last() else {
        return;
    };
    let halves = Halves::of(work, measured, assumed);
    let join = FILM_SEGMENTS as f64 * measured.join_seconds_per_segment;
    println!(
        "\n| a film of {FILM_SEGMENTS} segments on | makes them in, s | and joins them in, s | that is of the whole |"
    );
    println!("|---|--:|--:|--:|");
    for workers in WORKERS {
        let made = simulate(work, &halves, workers, FILM_SEGMENTS, f64::INFINITY, true).seconds;
        let plural = match workers {
            1 => "worker",
            _ => "workers",
        };
        println!(
            "| {workers} {plural} | {made:.0} | {join:.0} | {:.0} % |",
            100.0 * join / (made + join)
        );
    }
}

fn main() -> ExitCode {
    let mut path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance/cluster.json"));
    let mut assumed = Assumed {
        queue_cores: 1.0,
        store_cores: 64.0,
        store_bytes_per_second: 100e9 / 8.0,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            path = word.into();
            continue;
        }
        let value = words.next().and_then(|value| value.parse::<f64>().ok());
        match (word.as_str(), value.filter(|value| *value > 0.0)) {
            ("--queue-cores", Some(cores)) => assumed.queue_cores = cores,
            ("--store-cores", Some(cores)) => assumed.store_cores = cores,
            ("--store-gbit", Some(gigabits)) => assumed.store_bytes_per_second = gigabits * 1e9 / 8.0,
            _ => {
                eprintln!(
                    "{word}: there are --queue-cores, --store-cores and --store-gbit, each with a number above zero"
                );
                return ExitCode::from(2);
            }
        }
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let measured = match text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())) {
        Ok(measured) => measured,
        Err(error) => {
            eprintln!(
                "{}: {error}; `cargo bench --package afmpeg --features command,cluster --bench cluster -- --out {0}` makes it",
                path.display()
            );
            return ExitCode::FAILURE;
        }
    };
    jobs(&measured, &assumed);
    limits(&measured, &assumed);
    film(&measured, &assumed);
    ExitCode::SUCCESS
}
