//! The real program, stopped at any time. Damaged media are `cargo xtask fuzz`'s.

use crate::engine;
use crate::fixture::module;
use afmpeg::{Error, Job, Runtime};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const LATE: Duration = Duration::from_millis(500);

/// The module, in this process: a crash of the host would end the test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    engine::builder()
        .cache_folder(cache)
        .from_file(module().path())
        .unwrap()
});

/// SplitMix64: good enough, and stable between versions.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// The real program, stopped at random instants of an encode.
#[test]
fn an_encode_stopped_at_any_instant_harms_nobody() {
    let stops = u64::from(crate::count::of("AFMPEG_TEST_STOPS", 60));
    let encode = |timeout: Option<Duration>| {
        let line = "ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -f lavfi -i sine=duration=1 \
                    -c:v libopenh264 -c:a aac -f matroska -bitexact pipe:1";
        let mut job = Job::new(line.split_whitespace().collect::<Vec<_>>());
        if let Some(timeout) = timeout {
            job = job.timeout(timeout);
        }
        RUNTIME.run(job)
    };
    assert!(encode(None).unwrap().success());
    let started = Instant::now();
    let wanted = encode(None).unwrap();
    assert!(wanted.success() && wanted.stdout.len() > 1000);
    let whole = started.elapsed();
    let stopped = AtomicU64::new(0);
    let latest = Mutex::new(Duration::ZERO);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (encode, stopped, latest) = (&encode, &stopped, &latest);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..stops {
                    let timeout = whole.mul_f64(random.below(1000) as f64 / 1000.0);
                    let started = Instant::now();
                    match encode(Some(timeout)) {
                        Err(Error::Deadline { .. }) => {
                            stopped.fetch_add(1, Ordering::Relaxed);
                            let late = started.elapsed().saturating_sub(timeout);
                            assert!(late < LATE, "{late:?} late");
                            let mut latest = latest.lock().unwrap();
                            *latest = late.max(*latest);
                        }
                        result => assert!(result.unwrap().success()),
                    }
                }
            });
        }
    });
    println!(
        "{stopped:?} of {} stopped, at most {:.1?} late",
        2 * stops,
        latest.lock().unwrap()
    );
    assert!(stopped.into_inner() > stops);
    assert!(encode(None).unwrap().stdout == wanted.stdout);
}
