//! Damaged media of every format that the module can write, and some read as what they are not.
//!
//! By default as many cases as fit into less than a minute; `AFMPEG_TEST_MUTATIONS=N` tests so many however long it
//! takes, and `AFMPEG_TEST_MUTATION=N` the case of that number alone, with what the program says.

use crate::fixture::{Studio, module};
use afmpeg::{Error, Job, MemoryFs, Output, Runtime, Stdout};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const CASES_MAX: u64 = 6_000;
const TIME_MAX: Duration = Duration::from_secs(40);
/// A damaged file may stand for hours of video, so this ends some cases.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Threads that run cases; more than this have the jobs wait for each other.
const WORKERS: usize = 2;
const LATE: Duration = Duration::from_millis(500);

/// The module, in this process: a crash of the host would end the test.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    Runtime::builder()
        .cache_folder(cache)
        .from_file(module().path())
        .unwrap()
});

fn run(line: &str, files: &MemoryFs) -> Result<Output, Error> {
    run_for(line, files, TIMEOUT)
}

fn run_for(line: &str, files: &MemoryFs, timeout: Duration) -> Result<Output, Error> {
    let job = Job::new(line.split_whitespace().collect::<Vec<_>>())
        .file_system(".", Arc::new(files.clone()))
        .stdout(Stdout::Capture { limit_bytes: 1 << 20 })
        .memory_max_bytes(512 << 20)
        .timeout(timeout);
    RUNTIME.run(job)
}

/// The names that `-muxers` or `-demuxers` lists.
fn names(what: &str) -> Vec<String> {
    let output = run(&format!("ffmpeg -v error {what}"), &MemoryFs::new(0)).unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let (_, list) = listing.split_once("---").unwrap();
    let names = list.lines().skip(1).filter_map(|line| {
        // Flags stand in the first four columns, and formats may share a line.
        line.get(4..)?
            .split_whitespace()
            .next()?
            .split(',')
            .next()
            .map(str::to_owned)
    });
    names.collect()
}

/// A small file of a format, and what was written beside it.
struct Sample {
    muxer: String,
    files: Vec<(String, Bytes)>,
}

const SUBTITLES: &str = "1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\nworld\n";

/// What formats want to hold, the richest first.
const CONTENTS: [&str; 20] = [
    "-map 0 -map 1",
    "-map 0 -map 1 -c:v mpeg2video -c:a mp2",
    "-map 0 -map 1 -c:v dvvideo -s 720x576 -r 25 -pix_fmt yuv420p -ar 48000 -ac 2",
    "-map 0 -map 1 -c:v mpeg2video -r 25 -ar 48000 -ac 1 -c:a pcm_s16le",
    "-map 0",
    "-map 0 -c:v mpeg4",
    "-map 1",
    "-map 1 -ar 8000 -ac 1",
    "-map 1 -c:a pcm_s16be",
    "-map 1 -c:a ac3",
    "-map 1 -strict -2 -ar 48000 -ac 2",
    "-map 1 -c:a pcm_s24daud -ar 96000 -ac 6",
    "-map 0 -s 176x144 -r 30000/1001",
    "-map 0 -c:v mpeg1video -r 25",
    "-map 0 -c:v png -frames:v 1",
    "-map 0 -c:v rawvideo -pix_fmt rgba",
    "-map 0 -c:v dnxhd -s 1920x1080 -r 25 -b:v 36M -pix_fmt yuv422p",
    "-map 0 -map 1 -c:v amv -s 160x128 -r 10 -c:a adpcm_ima_amv -ar 22050 -ac 1 -block_size 2205",
    "-map 2",
    "-map 2 -c:s ass",
];

fn samples() -> Vec<Sample> {
    let inputs = "-f lavfi -i testsrc2=size=96x64:rate=10:duration=0.6 -f lavfi -i sine=duration=0.6 -i in.srt";
    let make = |muxer: &String| {
        CONTENTS.iter().find_map(|content| {
            let files = MemoryFs::new(64 << 20);
            files.add_file("in.srt", SUBTITLES).unwrap();
            // Segments are of the format that their names tell.
            let extension = if muxer.contains("segment") { ".ts" } else { "" };
            let line =
                format!("ffmpeg -v quiet -nostdin {inputs} {content} -frames:v 6 -f {muxer} -y out%d{extension}");
            let made = run_for(&line, &files, Duration::from_secs(60)).is_ok_and(|output| output.success());
            let files: Vec<(String, Bytes)> = files
                .files()
                .into_iter()
                .filter(|(name, size_bytes)| name != "in.srt" && *size_bytes > 0)
                .map(|(name, _)| (name.clone(), files.read_file(&name).unwrap()))
                .collect();
            (made && !files.is_empty()).then(|| Sample {
                muxer: muxer.clone(),
                files,
            })
        })
    };
    let muxers = names("-muxers");
    // On all cores, and in the order of the names, as a case's number stands for one of them.
    let samples: Vec<Sample> = thread::scope(|scope| {
        let chunks = muxers.chunks(muxers.len().div_ceil(WORKERS));
        let workers: Vec<_> = chunks
            .map(|chunk| scope.spawn(|| chunk.iter().filter_map(make).collect()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| -> Vec<Sample> { worker.join().unwrap() })
            .collect()
    });
    let made = |muxer: &&String| !samples.iter().any(|sample| sample.muxer == **muxer);
    println!(
        "{} samples; none of {:?}",
        samples.len(),
        muxers.iter().filter(made).collect::<Vec<_>>()
    );
    assert!(
        samples.len() * 3 > muxers.len() * 2,
        "samples for {} of {} formats",
        samples.len(),
        muxers.len()
    );
    samples
}

/// SplitMix64: good enough, and the same for ever.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        // Heads tell more than what follows, so half of the damage is done there.
        let reach = if random.below(2) == 0 {
            bytes.len().min(512)
        } else {
            bytes.len()
        };
        let at = random.below(reach);
        let end = (at + 1 + random.below(64)).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => bytes[at..end].fill(*random.one_of(&[0, 0xff, 0x7f, 0x80])),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let repeated = bytes[at..end].to_vec();
                bytes.splice(at..at, repeated);
            }
            4 => {
                let number = *random.one_of(&[0u32, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 16, 1 << 28]);
                let number = if random.below(2) == 0 {
                    number.to_be_bytes()
                } else {
                    number.to_le_bytes()
                };
                for (byte, new) in bytes[at..].iter_mut().zip(number) {
                    *byte = new;
                }
            }
            5 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8),
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// The command line of a case, and the files that it finds.
fn case(number: u64, samples: &[Sample], demuxers: &[String]) -> (String, MemoryFs) {
    let mut random = Random(number);
    // Every sample in turn, so that each gets its share.
    let sample = &samples[(number % samples.len() as u64) as usize];
    let files = MemoryFs::new(64 << 20);
    let damaged = random.below(sample.files.len());
    for (index, (name, bytes)) in sample.files.iter().enumerate() {
        if index == damaged {
            let mut bytes = bytes.to_vec();
            mutate(&mut bytes, &mut random);
            files.add_file(name, bytes).unwrap();
        } else {
            files.add_file(name, bytes.clone()).unwrap();
        }
    }
    let format = match random.below(4) {
        0 => format!("-f {}", random.one_of(demuxers)),
        _ => String::new(),
    };
    let name = &sample.files[0].0;
    let line = match random.below(3) {
        0 => format!("ffprobe -v quiet -show_format -show_streams {format} {name}"),
        1 => format!("ffmpeg -v quiet -nostdin {format} -i {name} -map 0 -c copy -t 2 -f null -"),
        _ => format!("ffmpeg -v quiet -nostdin {format} -i {name} -t 2 -f null -"),
    };
    (line, files)
}

#[test]
fn damaged_media_of_every_format_harm_nobody() {
    let samples = samples();
    let demuxers = names("-demuxers");
    println!("{} formats to read", demuxers.len());
    if let Ok(number) = std::env::var("AFMPEG_TEST_MUTATION") {
        let (line, files) = case(number.parse().unwrap(), &samples, &demuxers);
        let line = line.replace("-v quiet", "-v debug");
        let result = run(&line, &files);
        println!("{line}\n{result:#?}");
        if let Err(Error::Trap(trap)) = &result {
            println!("{}", String::from_utf8_lossy(&trap.output.stderr));
        }
        return;
    }
    let wanted = std::env::var("AFMPEG_TEST_MUTATIONS")
        .ok()
        .map(|cases| cases.parse().unwrap());
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let latest = Mutex::new(Duration::ZERO);
    let tally: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= wanted.unwrap_or(CASES_MAX) || (wanted.is_none() && started.elapsed() > TIME_MAX) {
                return;
            }
            let (line, files) = case(number, &samples, &demuxers);
            let case_started = Instant::now();
            let result = run(&line, &files);
            let late = case_started.elapsed().saturating_sub(TIMEOUT);
            assert!(late < LATE, "case {number} ended {late:?} late: {line}");
            let ending = match result {
                Ok(output) if output.success() => "succeeded".to_owned(),
                Ok(_) => "failed".to_owned(),
                Err(Error::Deadline { .. }) => {
                    println!("case {number} met its deadline: {line}");
                    let mut latest = latest.lock().unwrap();
                    *latest = late.max(*latest);
                    "met their deadline".to_owned()
                }
                Err(Error::Limit { limit, .. }) => format!("failed, as {limit}"),
                Err(Error::Trap(trap)) => {
                    let muxer = &samples[(number % samples.len() as u64) as usize].muxer;
                    println!("case {number} crashed: {trap}: {line} (made by {muxer})");
                    format!("crashed: {}", trap.reason)
                }
                Err(error) => panic!("case {number}: {error}: {line}"),
            };
            *tally.lock().unwrap().entry(ending).or_default() += 1;
        }
    };
    thread::scope(|scope| {
        (0..WORKERS).for_each(|_| drop(scope.spawn(worker)));
    });
    let tally = tally.into_inner().unwrap();
    let total: u64 = tally.values().sum();
    println!(
        "{total} cases in {:.1?}, deadlines at most {:.1?} late: {tally:#?}",
        started.elapsed(),
        latest.lock().unwrap()
    );
    assert!(total >= 200, "only {total} cases");

    // After all that, the runtime does what it did before.
    for sample in &samples {
        let files = MemoryFs::new(0);
        for (name, bytes) in &sample.files {
            files.add_file(name, bytes.clone()).unwrap();
        }
        let line = format!("ffprobe -v quiet -show_format -show_streams {}", sample.files[0].0);
        match run(&line, &files) {
            Ok(_) => {}
            Err(error) => panic!("{}: {error}", sample.muxer),
        }
    }
    let studio = Studio::new();
    let wanted = studio.packets("-f lavfi -i testsrc2=size=96x64:rate=10:duration=0.6");
    let line = "ffmpeg -v error -f lavfi -i testsrc2=size=96x64:rate=10:duration=0.6 -f framemd5 pipe:1";
    let output = run(line, &MemoryFs::new(0)).unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    wanted.assert_equal(&crate::measure::Packets::parse(&listing), 0.0);
}

/// The real program, stopped at random instants of an encode.
#[test]
fn an_encode_stopped_at_any_instant_harms_nobody() {
    let stops = std::env::var("AFMPEG_TEST_STOPS").map_or(60, |stops| stops.parse().unwrap());
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
