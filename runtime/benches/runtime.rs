//! Measures the figures of docs/runtime.md: start-up, limits, memory and cores.
//!
//! `cargo bench --package afmpeg --features command`, on a machine that does nothing
//! else.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use afmpeg::{Access, Job, MemoryFs, Output, Preemption, Runtime};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../tests/support/inputs.rs"]
mod inputs;

static MODULE: LazyLock<PathBuf> = LazyLock::new(inputs::module);
static VIDEO: LazyLock<Bytes> = LazyLock::new(|| std::fs::read(inputs::video()).unwrap().into());
/// The compiled module, kept for the benchmarks after the one that compiles.
static CACHE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn runtime(preemption: Preemption) -> Runtime {
    let builder = Runtime::builder()
        .cache_folder(CACHE.path().join("aot"))
        .preemption(preemption);
    builder.from_file(&*MODULE).unwrap()
}

fn job(line: &str) -> Job {
    Job::new(line.split_whitespace().collect::<Vec<_>>())
}

fn done(runtime: &Runtime, job: Job) -> Output {
    let output = runtime.run(job).unwrap();
    assert!(output.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The command, with the module and the cache of these benchmarks.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afmpeg"));
    command.arg("--module").arg(&*MODULE);
    command.arg("--cache-dir").arg(CACHE.path().join("aot")).args(words);
    command
}

/// A folder of shims that use the same.
fn shims() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = command(&["shims"]).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let policy = folder.path().join("afmpeg.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(policy, format!("{text}\ncache-dir = {:?}\n", CACHE.path().join("aot"))).unwrap();
    folder
}

fn shim(folder: &tempfile::TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(folder.path().join("ffmpeg"));
    command.args(words);
    command
}

/// The time until a process's first byte of output.
fn first_byte(mut command: Command) -> Duration {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let elapsed = started.elapsed();
    stdout.read_to_end(&mut Vec::new()).unwrap();
    assert!(child.wait().unwrap().success());
    elapsed
}

/// The same work by a shim and by the command itself, as whole processes.
fn shim_work(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("work");
    group.sample_size(15).measurement_time(Duration::from_secs(30));
    let (shims, out) = (shims(), tempfile::tempdir().unwrap());
    let video = inputs::video().canonicalize().unwrap();
    let (video, out) = (video.to_str().unwrap(), out.path().join("out.mp4"));
    let line = "-v error -nostdin -y -frames:v 60 -vf scale=640:-2 -c:v libx264 -c:a aac";
    let words = ["-i", video]
        .into_iter()
        .chain(line.split(' '))
        .chain([out.to_str().unwrap()]);
    let words: Vec<&str> = words.collect();
    let whole: Vec<&str> = ["--dir", "/", "ffmpeg"].into_iter().chain(words.clone()).collect();
    let done = |mut command: Command| assert!(command.status().unwrap().success());
    group.bench_function("afmpeg ffmpeg", |bencher| bencher.iter(|| done(command(&whole))));
    group.bench_function("shim", |bencher| bencher.iter(|| done(shim(&shims, &words))));
    group.finish();
}

fn starts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    group.bench_function("first compile", |bencher| {
        bencher.iter(|| Runtime::from_file(&*MODULE).unwrap())
    });
    group.sample_size(50);
    let cached = runtime(Preemption::default());
    group.bench_function("runtime from the cache", |bencher| {
        bencher.iter(|| runtime(Preemption::default()))
    });
    // Until the program's first byte of output, which comes after all of FFmpeg's start-up.
    group.bench_function("second process", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| first_byte(command(&["ffmpeg", "-version"]))).sum())
    });
    let shims = shims();
    group.bench_function("shim", |bencher| {
        bencher.iter_custom(|rounds| {
            let started = |_| first_byte(shim(&shims, &["-version"]));
            (0..rounds).map(started).sum()
        })
    });
    group.bench_function("job", |bencher| bencher.iter(|| done(&cached, job("ffmpeg -version"))));
    group.bench_function("job with a deadline", |bencher| {
        bencher.iter(|| done(&cached, job("ffmpeg -version").timeout(Duration::from_secs(100))));
    });
    group.bench_function("instantiation", |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| done(&cached, job("ffmpeg -version")).timings.instantiate)
                .sum()
        });
    });
    group.finish();
}

/// Work that leaves the sandbox rarely: a second of it or two.
const WORK: [(&str, &str); 3] = [
    (
        "openh264",
        "-i in.mp4 -frames:v 40 -vf scale=640:-2 -c:v libopenh264 -c:a aac -y out.mp4",
    ),
    (
        "x264",
        "-i in.mp4 -frames:v 20 -vf scale=640:-2 -c:v libx264 -c:a aac -y out.mp4",
    ),
    ("decode", DECODE),
];
const DECODE: &str = "-i in.mp4 -an -f null -";

fn work(runtime: &Runtime, options: &str, timeout: Option<Duration>) -> Output {
    let files = MemoryFs::new(1 << 30);
    files.add_file("in.mp4", VIDEO.clone()).unwrap();
    let mut job = job(&format!("ffmpeg -v error -nostdin {options}")).file_system(".", Arc::new(files));
    if let Some(timeout) = timeout {
        job = job.timeout(timeout);
    }
    done(runtime, job)
}

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    group.sample_size(15).measurement_time(Duration::from_secs(30));
    let (signals, epochs) = (runtime(Preemption::Signals), runtime(Preemption::Epochs));
    let timeout = Some(Duration::from_secs(1000));
    for (name, options) in WORK {
        for (limit, runtime, timeout) in [
            ("no deadline", &signals, None),
            ("deadline by signals", &signals, timeout),
            ("deadline by epochs", &epochs, timeout),
        ] {
            group.bench_function(BenchmarkId::new(name, limit), |bencher| {
                bencher.iter(|| work(runtime, options, timeout))
            });
        }
    }
    group.finish();
}

fn cores(criterion: &mut Criterion) {
    let runtime = runtime(Preemption::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("cores");
    group.sample_size(15).measurement_time(Duration::from_secs(20));
    for jobs in [1, cores] {
        group.throughput(Throughput::Elements(jobs as u64));
        group.bench_function(BenchmarkId::new("jobs at a time", jobs), |bencher| {
            bencher.iter(|| {
                thread::scope(|scope| {
                    (0..jobs).for_each(|_| drop(scope.spawn(|| work(&runtime, DECODE, None))));
                });
            });
        });
    }
    group.finish();
}

fn files(criterion: &mut Criterion) {
    let runtime = runtime(Preemption::default());
    let folder = tempfile::tempdir().unwrap();
    let remux = "ffmpeg -v error -nostdin -stream_loop 30 -i in.mp4 -c copy -y out.mkv";
    std::fs::write(folder.path().join("in.mp4"), &*VIDEO).unwrap();
    let mut group = criterion.benchmark_group("files");
    group.sample_size(20).measurement_time(Duration::from_secs(15));
    group.bench_function(BenchmarkId::new("remux", "in memory"), |bencher| {
        bencher.iter(|| {
            let files = MemoryFs::new(1 << 30);
            files.add_file("in.mp4", VIDEO.clone()).unwrap();
            done(&runtime, job(remux).file_system(".", Arc::new(files.clone())));
            files.take_file("out.mkv").unwrap()
        });
    });
    group.bench_function(BenchmarkId::new("remux", "in a folder"), |bencher| {
        bencher.iter(|| {
            done(&runtime, job(remux).dir(".", folder.path(), Access::ReadWrite).unwrap());
            std::fs::read(folder.path().join("out.mkv")).unwrap()
        });
    });

    const FRAME_SIZE_BYTES: usize = 1920 * 1080 * 3 / 2;
    let large = Bytes::from(vec![128; (1 << 30) / FRAME_SIZE_BYTES * FRAME_SIZE_BYTES]);
    let read = "ffmpeg -v error -nostdin -f rawvideo -video_size 1920x1080 -i in.yuv -c copy -f null -";
    group.sample_size(10).throughput(Throughput::Bytes(large.len() as u64));
    group.bench_function("1 GB in memory", |bencher| {
        bencher.iter(|| {
            let files = MemoryFs::new(0);
            files.add_file("in.yuv", large.clone()).unwrap();
            black_box(done(&runtime, job(read).file_system(".", Arc::new(files))))
        });
    });
    group.finish();
}

criterion_group!(benches, starts, shim_work, limits, cores, files);
criterion_main!(benches);
