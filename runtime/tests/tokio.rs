//! Jobs from tasks of tokio's.

mod support;

use afmpeg::{Capacity, Error, Job, Runtime, Stdin, Stdout};
use std::time::{Duration, Instant};
use support::{COPIER, runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;

fn job_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "afmpeg job").count()
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// On one thread, which reads, writes and waits for the job at once.
#[tokio::test]
async fn streams_flow_through_a_job() {
    let copier = runtime(COPIER);
    let (mut feed, input) = duplex(1000);
    let (output, mut outcome) = duplex(1000);
    let bytes: Vec<u8> = (0..5_000_000u32).map(|index| (index % 251) as u8).collect();
    let job = Job::new(["copy"])
        .stdin(Stdin::from_async(input))
        .stdout(Stdout::from_async(output))
        .timeout(Duration::from_secs(100));
    let feeding = async {
        feed.write_all(&bytes).await.unwrap();
        drop(feed);
    };
    let mut copied = Vec::new();
    let reading = outcome.read_to_end(&mut copied);
    let (result, (), read) = tokio::join!(copier.run_async(job), feeding, reading);
    read.unwrap();
    let output = result.unwrap();
    assert!(output.success());
    assert!(copied == bytes, "{} of {} bytes", copied.len(), bytes.len());
    assert_eq!(output.bytes_written, bytes.len() as u64);
}

#[tokio::test]
async fn deadlines_end_jobs_that_compute_wait_for_input_and_stand_in_line() {
    let timeout = Duration::from_millis(50);
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    let make = |wat| {
        let wasm = wat::parse_str(wat).unwrap();
        Runtime::builder().capacity(&capacity).from_bytes(&wasm).unwrap()
    };
    let (endless, copier) = (make(ENDLESS), make(COPIER));
    let started = Instant::now();
    let (computes, waits) = tokio::join!(
        endless.run_async(Job::new(["program"]).timeout(timeout * 2)),
        copier.run_async(Job::new(["copy"]).timeout(timeout)),
    );
    assert!(matches!(computes, Err(Error::Deadline { .. })), "{computes:?}");
    assert!(matches!(waits, Err(Error::Deadline { .. })), "{waits:?}");
    let (_silent, input) = duplex(10);
    let (output, _unread) = duplex(10);
    for job in [
        Job::new(["copy"]).stdin(Stdin::from_async(input)),
        Job::new(["copy"])
            .stdin(vec![1; 1000])
            .stdout(Stdout::from_async(output)),
    ] {
        let result = copier.run_async(job.timeout(timeout)).await;
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    wait_until("no thread is left", || job_threads() == 0).await;
    assert_eq!(capacity.stats(), afmpeg::Stats::default());
}

/// In line it leaves its place to others, and running it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_future_cancels_the_job() {
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    let wasm = wat::parse_str(ENDLESS).unwrap();
    let endless = Runtime::builder().capacity(&capacity).from_bytes(&wasm).unwrap();
    let start = || {
        let endless = endless.clone();
        tokio::spawn(async move { endless.run_async(["program"]).await })
    };
    let running = start();
    wait_until("one runs", || capacity.stats().running == 1).await;
    let waiting: Vec<_> = (0..500).map(|_| start()).collect();
    wait_until("all wait", || capacity.stats().waiting == 500).await;
    waiting[1..].iter().for_each(tokio::task::JoinHandle::abort);
    wait_until("one waits", || capacity.stats().waiting == 1).await;
    running.abort();
    wait_until("the next one runs", || {
        let stats = capacity.stats();
        (stats.running, stats.waiting) == (1, 0)
    })
    .await;
    waiting[0].abort();
    wait_until("none runs", || capacity.stats() == afmpeg::Stats::default()).await;
    wait_until("no thread is left", || job_threads() == 0).await;
}
