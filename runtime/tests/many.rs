//! Many jobs of the real program at a time. A file of its own, as the memory of the process is what is measured.

#![cfg(target_os = "linux")]

use afmpeg::{Job, MemoryFs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[path = "support/engine.rs"]
mod engine;
#[path = "support/inputs.rs"]
mod inputs;

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn the_memory_of_many_encodes_at_a_time_is_given_back() {
    const JOBS: usize = 64;
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/aot");
    let builder = engine::builder().cache_folder(cache).max_concurrency(JOBS);
    let runtime = builder.from_file(inputs::module()).unwrap();
    let encode = || {
        let files = MemoryFs::new(16 << 20);
        let command =
            "ffmpeg -v error -f lavfi -i testsrc=size=320x180:duration=0.5 -c:v libx264 -preset medium out.mp4";
        let job = Job::new(command.split(' ')).file_system(".", Arc::new(files.clone()));
        let output = runtime.run(job.timeout(Duration::from_secs(300))).unwrap();
        assert!(output.success(), "{}", output.error_message());
        assert!(!output.cpu_time.is_zero() && output.memory_peak_bytes > 1 << 20);
        files.take_file("out.mp4").unwrap()
    };
    // A process keeps some memory of its first job.
    let expected = encode();
    let before = resident_bytes();
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..JOBS).map(|_| scope.spawn(encode)).collect();
        for job in jobs {
            assert!(job.join().unwrap() == expected, "the same file as alone");
        }
    });
    let started = Instant::now();
    let more = loop {
        let more = resident_bytes().saturating_sub(before);
        if more < 64 << 20 || started.elapsed() > Duration::from_millis(500) {
            break more;
        }
        thread::sleep(Duration::from_millis(1));
    };
    println!("{} MiB more than before", more >> 20);
    assert!(more < 64 << 20, "{} MiB more than before", more >> 20);
}
