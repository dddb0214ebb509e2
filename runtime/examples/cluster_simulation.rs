//! What becomes of a queue with a thousand workers: a simulation from times that one server of the queue and one store are assumed to
//! need. None of them was measured, so what it prints says how the parts depend on each other, and not how fast they are.
//!
//! Each worker takes a job, reads its input, computes, writes its output and ends the job, again and again. The server of the queue and
//! the store serve one request after another; a worker that is not served waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Assumed: requests of one job to the server of the queue: the submitter's two, the delivery, reads and changes of the state, the answer.
const QUEUE_REQUESTS: u64 = 9;
/// Assumed: what the server needs for each, with its store on disk.
const QUEUE_REQUEST_MICROSECONDS: f64 = 40.0;
/// Assumed: requests of one job to the store: a look and two parts of the input, a look and a put of the output.
const STORE_REQUESTS: u64 = 5;
/// Assumed: what the store needs for each.
const STORE_REQUEST_MICROSECONDS: f64 = 200.0;
/// Assumed: of the store's network.
const STORE_BYTES_PER_SECOND: f64 = 10e9 / 8.0;

struct Work {
    name: &'static str,
    compute_seconds: f64,
    moved_bytes: f64,
}

const WORKS: [Work; 3] = [
    Work {
        name: "a thumbnail",
        compute_seconds: 0.05,
        moved_bytes: 1e6,
    },
    Work {
        name: "a minute of 720p",
        compute_seconds: 30.0,
        moved_bytes: 30e6,
    },
    Work {
        name: "a segment of a film",
        compute_seconds: 60.0,
        moved_bytes: 60e6,
    },
];

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

struct Result {
    jobs_per_second: f64,
    queue_load: f64,
    store_load: f64,
}

fn simulate(work: &Work, workers: usize) -> Result {
    let (mut queue, mut store) = (Server::default(), Server::default());
    let duration = 40.0 * work.compute_seconds;
    // They do not begin at the same time.
    let first = |worker: usize| work.compute_seconds * worker as f64 / workers as f64;
    let mut events: BinaryHeap<Event> = (0..workers).map(|worker| event(first(worker), worker, 0)).collect();
    let queue_seconds = QUEUE_REQUESTS as f64 * QUEUE_REQUEST_MICROSECONDS * 1e-6 / 2.0;
    let store_seconds =
        (STORE_REQUESTS as f64 * STORE_REQUEST_MICROSECONDS * 1e-6 + work.moved_bytes / STORE_BYTES_PER_SECOND) / 2.0;
    let mut done = 0_u64;
    while let Some(Reverse((nanoseconds, worker, step))) = events.pop() {
        let time = nanoseconds as f64 * 1e-9;
        if time > duration {
            break;
        }
        let next = match step {
            0 | 4 => queue.serve(time, queue_seconds),
            1 | 3 => store.serve(time, store_seconds),
            _ => time + work.compute_seconds,
        };
        done += u64::from(step == 4);
        events.push(event(next, worker, (step + 1) % 5));
    }
    Result {
        jobs_per_second: done as f64 / duration,
        queue_load: queue.busy_seconds / duration,
        store_load: store.busy_seconds / duration,
    }
}

fn main() {
    println!(
        "| job | workers | jobs a second | of what the workers could do | the queue is busy | the store is busy |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for work in &WORKS {
        for workers in [10, 100, 1000] {
            let result = simulate(work, workers);
            println!(
                "| {} | {workers} | {:.1} | {:.0} % | {:.0} % | {:.0} % |",
                work.name,
                result.jobs_per_second,
                100.0 * result.jobs_per_second * work.compute_seconds / workers as f64,
                100.0 * result.queue_load.min(1.0),
                100.0 * result.store_load.min(1.0),
            );
        }
    }
}
