//! Runs cases one after the other, alone in its process, and tells the driver by lines of JSON.

use crate::cases::Case;
use crate::hostile_calls::{self, Choices, Place};
use crate::program::{MEMORY_MAX_BYTES, Program};
use crate::random::Random;
use crate::request::{Kind, Work};
use crate::samples::Stock;
use afmpeg::{Error, Output};
use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

/// A damaged file may claim hours of video, so this ends some cases. The driver runs those again.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Processor time beyond the deadline that shows a job which was not stopped.
const LATE_MAX: Duration = Duration::from_secs(2);
/// Elapsed time beyond the deadline, for a job that was not stopped and waits.
const LATE_WAITING_MAX: Duration = Duration::from_secs(30);
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// The memory that the process may keep of jobs that have ended.
const KEPT_MAX_BYTES: u64 = 256 << 20;

/// A worker's message to the driver.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Done(u64),
    /// Something that must hold doesn't.
    Fault {
        number: u64,
        what: String,
    },
    Trap {
        number: u64,
        reason: String,
        function: String,
    },
    MetDeadline(u64),
    End(Tally),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Reached {
    /// Cases that were sure to come to it, if they got that far.
    pub tried: u64,
    /// It took the input: a demuxer or a filter opened it.
    pub opened: u64,
    /// It decoded, with these numbers of frames and errors.
    pub frames: u64,
    pub errors: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Tally {
    pub cases: u64,
    pub calls: u64,
    pub endings: BTreeMap<String, u64>,
    pub demuxers: BTreeMap<String, Reached>,
    pub decoders: BTreeMap<String, Reached>,
    pub bitstream_filters: BTreeMap<String, Reached>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        self.calls += other.calls;
        for (ending, count) in other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
        let pairs = [
            (&mut self.demuxers, other.demuxers),
            (&mut self.decoders, other.decoders),
            (&mut self.bitstream_filters, other.bitstream_filters),
        ];
        for (mine, others) in pairs {
            for (name, reached) in others {
                let sum = mine.entry(name).or_default();
                sum.tried += reached.tried;
                sum.opened += reached.opened;
                sum.frames += reached.frames;
                sum.errors += reached.errors;
            }
        }
    }

    fn end(&mut self, ending: impl Into<String>) {
        *self.endings.entry(ending.into()).or_default() += 1;
    }
}

fn tell(event: &Event) {
    let line = serde_json::to_string(event).unwrap_or_default();
    // A driver that is gone hears nothing any more.
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}

pub fn run(work: &Work) -> Result<()> {
    let state = File::create(&work.state).with_context(|| format!("cannot write {}", work.state.display()))?;
    let mut tally = Tally::default();
    let mut ground = match work.kind {
        Kind::Calls => Ground::Calls(Box::new(Place::alone())),
        Kind::Media => {
            let stock = Stock::load(&work.folder.join("samples"))?.context("the driver makes the samples")?;
            Ground::Media(Program::of(&work.module, 1)?, Box::new(stock))
        }
    };
    let mut told = Instant::now();
    let mut before = None;
    for number in (work.first..work.end).step_by(work.step as usize) {
        state.write_all_at(&number.to_le_bytes(), 0)?;
        let run = catch_unwind(AssertUnwindSafe(|| match &mut ground {
            Ground::Calls(place) => calls(place, work.seed, number, &mut tally),
            Ground::Media(program, stock) => media(program, stock, work.seed, number, &mut tally, &mut before),
        }));
        if let Err(panic) = run {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            tell(&Event::Fault {
                number,
                what: format!("the host panicked: {}", what.unwrap_or_default()),
            });
        }
        tally.cases += 1;
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            tell(&Event::Done(tally.cases));
        }
    }
    tell(&Event::End(tally));
    Ok(())
}

enum Ground {
    Calls(Box<Place>),
    Media(Program, Box<Stock>),
}

fn calls(place: &mut Place, seed: u64, number: u64, tally: &mut Tally) {
    let seed = Random::of_case(seed, number).next();
    match hostile_calls::run(place, &mut Choices::seeded(seed)) {
        Ok(ran) => {
            tally.calls += ran.calls;
            tally.end(if ran.met_deadline {
                "met their deadline"
            } else {
                "ended"
            });
        }
        Err(what) => {
            tally.end("faults");
            tell(&Event::Fault { number, what });
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Descriptors, threads and resident bytes of this process.
fn held() -> (usize, usize, u64) {
    let count = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let resident_bytes = pages.unwrap_or_default() * 4096;
    (count("/proc/self/fd"), count("/proc/self/task"), resident_bytes)
}

fn media(
    program: &Program,
    stock: &Stock,
    seed: u64,
    number: u64,
    tally: &mut Tally,
    before: &mut Option<(usize, usize, u64)>,
) {
    let case = stock.case(seed, number);
    let (started, cpu_before) = (Instant::now(), cpu_time());
    let (result, memory) = program.run(&case.line, &case.files, TIMEOUT);
    let (elapsed, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu_before));
    let fault = |what: String| {
        tell(&Event::Fault {
            number,
            what: format!("{what}: {}", case.line),
        })
    };
    if cpu > TIMEOUT + LATE_MAX || elapsed > TIMEOUT + LATE_WAITING_MAX {
        fault(format!("ended after {elapsed:.1?}, with {cpu:.1?} of processor time"));
    }
    let output = match &result {
        Ok(output) => {
            tally.end(if output.success() { "succeeded" } else { "failed" });
            Some(output)
        }
        Err(Error::Deadline { output }) => {
            tally.end("met their deadline");
            tell(&Event::MetDeadline(number));
            Some(&**output)
        }
        Err(Error::Limit { limit, output, .. }) => {
            tally.end(format!("failed, as {limit}"));
            Some(&**output)
        }
        Err(Error::Trap(trap)) => {
            tally.end("crashed");
            tell(&Event::Trap {
                number,
                reason: trap.reason.clone(),
                function: trap.function.clone().unwrap_or_default(),
            });
            Some(&trap.output)
        }
        Err(error) => {
            fault(format!("{error}"));
            None
        }
    };
    if let Some(output) = output {
        if output.memory_peak_bytes > MEMORY_MAX_BYTES {
            fault(format!("had {} bytes of memory", output.memory_peak_bytes));
        }
        reach(&case, output, stock, tally);
    }
    drop((result, memory));
    // A thread that was stopped may need a moment.
    let mut now = held();
    let (descriptors, threads, resident_bytes) = *before.get_or_insert(now);
    let ended = Instant::now();
    while (now.0 > descriptors || now.1 > threads) && ended.elapsed() < LATE_WAITING_MAX {
        thread::sleep(Duration::from_millis(1));
        now = held();
    }
    if now.0 > descriptors || now.1 > threads || now.2 > resident_bytes + KEPT_MAX_BYTES {
        fault(format!(
            "the process holds descriptors, threads and bytes {now:?}, and before {:?}",
            (descriptors, threads, resident_bytes)
        ));
        *before = Some(now);
    }
}

/// Counts the components that the program's output shows to have been reached.
fn reach(case: &Case, output: &Output, stock: &Stock, tally: &mut Tally) {
    for (name, tried) in [
        (&case.demuxer, &mut tally.demuxers),
        (&case.decoder, &mut tally.decoders),
        (&case.bitstream_filter, &mut tally.bitstream_filters),
    ] {
        if let Some(name) = name {
            tried.entry(name.clone()).or_default().tried += 1;
        }
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8_lossy(&output.stdout);
    // `Input #0, matroska,webm, from 'in':`, also where the log was cut off before.
    for line in told.lines().filter(|line| line.starts_with("Input #")) {
        if let Some(name) = line.split(", ").nth(1) {
            let name = name.split(',').next().unwrap_or_default();
            tally.demuxers.entry(name.to_owned()).or_default().opened += 1;
        }
    }
    // `  Stream #0:0 -> #0:0 (mpeg4 (native) -> wrapped_avframe (native))`
    let mut decoders = BTreeMap::new();
    for line in told.lines() {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("Stream #")
            && let Some((stream, rest)) = rest.split_once(" -> ")
            && let Some((_, codecs)) = rest.split_once(" (")
            && let Some((from, _)) = codecs.split_once(" -> ")
            && let Some((codec, decoder)) = from.trim_end_matches(')').split_once(" (")
        {
            let decoder = if decoder == "native" { codec } else { decoder };
            decoders.insert(stream.to_owned(), decoder.to_owned());
        }
        // `Input stream #0:0 (video): 6 packets read (999 bytes); 6 frames decoded; 0 decode errors`
        if let Some(rest) = line.strip_prefix("Input stream #")
            && let Some((stream, rest)) = rest.split_once(' ')
            && let Some(decoder) = decoders.get(stream)
        {
            let number_before = |words: &str| {
                let (before, _) = rest.split_once(words)?;
                before.rsplit([' ', ';']).next()?.parse::<u64>().ok()
            };
            let reached = tally.decoders.entry(decoder.clone()).or_default();
            reached.frames += number_before(" frames decoded").unwrap_or_default();
            reached.errors += number_before(" decode errors").unwrap_or_default();
        }
    }
    // ffprobe's output: frames by the kind of their stream, streams with their codecs.
    let mut codec = None;
    let frames = shown
        .lines()
        .filter(|line| line.starts_with("frame|") || line.starts_with("subtitle|"));
    let frame_count = frames.count() as u64;
    for line in shown.lines() {
        let field = |name: &str| {
            line.split('|')
                .find_map(|part| part.strip_prefix(name))
                .map(str::to_owned)
        };
        if line.starts_with("stream|") {
            codec = codec.or(field("codec_name="));
        }
        if line.starts_with("format|")
            && let Some(name) = field("format_name=")
        {
            let name = name.split(',').next().unwrap_or_default();
            tally.demuxers.entry(name.to_owned()).or_default().opened += 1;
        }
    }
    let decoder = case
        .decoder
        .clone()
        .or(codec.filter(|codec| stock.decoders.iter().any(|(name, _)| name == codec)));
    if let Some(decoder) = decoder {
        let reached = tally.decoders.entry(decoder.clone()).or_default();
        reached.frames += frame_count;
        // A decoder that prints a message has seen a packet or its parameters.
        if told.contains(&format!("[{decoder} @ ")) || told.contains("Error submitting packet to decoder") {
            reached.errors += 1;
        }
    }
    if let Some(filter) = &case.bitstream_filter
        && output.success()
    {
        tally.bitstream_filters.entry(filter.clone()).or_default().opened += 1;
    }
}
