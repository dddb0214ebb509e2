//! Starts workers, collects and examines their findings, and reports.

use crate::findings::{self, Finding};
use crate::program::{MEMORY_MAX_BYTES, Program};
use crate::request::{Kind, Known, Request, Work};
use crate::samples::{Origin, Stock};
use crate::worker::{Event, Reached, TIMEOUT, Tally};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A little fewer than there are on average, so that there are as many calls as were asked for.
const CALLS_A_SEQUENCE: u64 = 36;
/// Media from which on it means something that a known crash did not occur.
const LONG_RUN: u64 = 50_000;
/// Media from which on a run comes to many demuxers and decoders, and the shares of them that it must come to. One of 1,000
/// on o3-gpl came to 45 % of the demuxers and 38 % of the decoders.
const REACHING_RUN: u64 = 1_000;
const DEMUXERS_OPENED_MIN: f64 = 0.3;
const DECODERS_REACHED_MIN: f64 = 0.2;
/// History of the report's format: 1, the first.
const FORMAT_VERSION: u32 = 1;
const TOLD_EVERY: Duration = Duration::from_secs(15);
/// The number of equal faults that are reported one by one.
const FAULTS_TOLD: usize = 20;
/// The number of host deaths after which a run gives up.
const DEATHS_MAX: u64 = 20;

/// The findings of all workers of one kind.
#[derive(Default)]
struct Found {
    tally: Tally,
    faults: Vec<Fault>,
    /// By reason and function, as the module reports them.
    traps: BTreeMap<(String, String), Vec<u64>>,
    late: Vec<u64>,
}

/// Something that must hold for any input and didn't.
#[derive(Clone, Debug, Serialize)]
struct Fault {
    kind: Kind,
    case: u64,
    what: String,
}

#[derive(Serialize)]
struct Report {
    format_version: u32,
    profile: String,
    seed: u64,
    sequences: Option<Tally>,
    media: Option<Tally>,
    samples: BTreeMap<&'static str, usize>,
    muxers_without_sample: Vec<String>,
    encoders_without_sample: Vec<String>,
    demuxers_not_opened: Vec<String>,
    decoders_without_frame: Vec<String>,
    decoders_not_reached: Vec<String>,
    bitstream_filters_not_opened: Vec<String>,
    faults: Vec<Fault>,
    findings: Vec<Finding>,
    known_that_did_not_occur: Vec<Known>,
}

/// Returns whether the run had no unknown crash and no fault of the host.
pub fn run(request: &Request) -> Result<bool> {
    for folder in ["samples", "work"] {
        fs::create_dir_all(request.folder.join(folder))?;
    }
    let mut faults = Vec::new();
    let mut sequences = None;
    if request.calls > 0 {
        let found = workers(request, Kind::Calls, request.calls.div_ceil(CALLS_A_SEQUENCE))?;
        print_calls(&found);
        faults.extend(found.faults);
        // Some are stopped, or close what brings them their calls.
        if found.tally.calls < request.calls / 2 {
            faults.push(Fault {
                kind: Kind::Calls,
                case: 0,
                what: format!("{} of {} calls were answered", found.tally.calls, request.calls),
            });
        }
        sequences = Some(found.tally);
    }
    let mut report = Report {
        format_version: FORMAT_VERSION,
        profile: request.profile.clone(),
        seed: request.seed,
        sequences,
        media: None,
        samples: BTreeMap::new(),
        muxers_without_sample: Vec::new(),
        encoders_without_sample: Vec::new(),
        demuxers_not_opened: Vec::new(),
        decoders_without_frame: Vec::new(),
        decoders_not_reached: Vec::new(),
        bitstream_filters_not_opened: Vec::new(),
        faults: Vec::new(),
        findings: Vec::new(),
        known_that_did_not_occur: Vec::new(),
    };
    if request.media > 0 || request.case.is_some() {
        let stock = stock(request)?;
        if let Some(number) = request.case {
            return again(request, &stock, number);
        }
        let mut found = workers(request, Kind::Media, request.media)?;
        faults.append(&mut found.faults);
        report.findings = findings::judge(request, &stock, &found.traps, &found.late)?;
        // Only where all that is known could have occurred: a short run doesn't come to all of it.
        report.known_that_did_not_occur = request
            .known
            .iter()
            .filter(|known| {
                let is_it = |finding: &Finding| known.reason == finding.reason && known.function == finding.function;
                !report.findings.iter().any(is_it)
            })
            .cloned()
            .collect();
        faults.extend(after_all_that(request, &stock)?);
        for (name, origin) in [
            ("muxer", Origin::Muxer),
            ("encoder", Origin::Encoder),
            ("real", Origin::Real),
        ] {
            let count = stock.samples.iter().filter(|sample| sample.origin == origin).count();
            report.samples.insert(name, count);
        }
        let tally = &found.tally;
        let missed = |names: &mut dyn Iterator<Item = &String>,
                      reached: &BTreeMap<String, Reached>,
                      is: fn(&Reached) -> bool| {
            let missing = names.filter(|name| !reached.get(*name).is_some_and(is));
            missing.cloned().collect::<Vec<_>>()
        };
        let decoders: Vec<String> = stock.decoders.iter().map(|(name, _)| name.clone()).collect();
        report.demuxers_not_opened = missed(&mut stock.demuxers.iter(), &tally.demuxers, |reached| {
            reached.opened > 0
        });
        report.decoders_without_frame = missed(&mut decoders.iter(), &tally.decoders, |reached| reached.frames > 0);
        report.decoders_not_reached = missed(&mut decoders.iter(), &tally.decoders, |reached| {
            reached.frames + reached.errors > 0
        });
        report.bitstream_filters_not_opened = missed(
            &mut stock.bitstream_filters.iter(),
            &tally.bitstream_filters,
            |reached| reached.opened > 0,
        );
        report.muxers_without_sample = stock.muxers_without_sample.clone();
        report.encoders_without_sample = stock.encoders_without_sample.clone();
        print_media(&found, &stock, &report);
        faults.extend(too_little_reached(&found.tally, &stock, &report));
        report.media = Some(found.tally);
    }
    report.faults = faults;
    for fault in report.faults.iter().take(FAULTS_TOLD) {
        println!("FAULT, {:?} {}: {}", fault.kind, fault.case, fault.what);
    }
    if report.faults.len() > FAULTS_TOLD {
        println!("and {} more faults", report.faults.len() - FAULTS_TOLD);
    }
    if let Some(path) = &request.json {
        fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let unknown = report.findings.iter().filter(|finding| finding.cause.is_none()).count();
    Ok(report.faults.is_empty() && unknown == 0)
}

fn stock(request: &Request) -> Result<Stock> {
    let folder = request.folder.join("samples");
    if let Some(stock) = Stock::load(&folder)?.filter(|stock| stock.real_files == request.real_files) {
        return Ok(stock);
    }
    eprintln!("making samples");
    let started = Instant::now();
    let program = Program::of(&request.module, request.jobs)?;
    let stock = Stock::make(&program, request)?;
    stock.save(&folder)?;
    eprintln!(
        "{} samples in {:.0} s",
        stock.samples.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(stock)
}

/// Runs cases from 0 to `end` on as many workers as may run at once.
fn workers(request: &Request, kind: Kind, end: u64) -> Result<Found> {
    let label = match kind {
        Kind::Calls => "sequences of host calls",
        Kind::Media => "damaged media",
    };
    let found = Mutex::new(Found::default());
    let done = Mutex::new((vec![0; request.jobs], Instant::now()));
    let started = Instant::now();
    thread::scope(|scope| {
        let all: Vec<_> = (0..request.jobs)
            .map(|worker| {
                let (found, done) = (&found, &done);
                scope.spawn(move || {
                    let progress = |count: u64| {
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        done.0[worker] = count;
                        if done.1.elapsed() > TOLD_EVERY {
                            done.1 = Instant::now();
                            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
                            let total: u64 = done.0.iter().sum();
                            let crashes: usize = found.traps.values().map(Vec::len).sum();
                            eprintln!(
                                "{label}: {total} of {end} in {:.0} s, {} faults, {crashes} crashes, {} met their deadline",
                                started.elapsed().as_secs_f64(),
                                found.faults.len(),
                                found.late.len()
                            );
                        }
                    };
                    look_after(request, kind, worker as u64, end, found, &progress)
                })
            })
            .collect();
        for worker in all {
            match worker.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok(())
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!(
        "{label}: {} in {:.0} s",
        found.tally.cases,
        started.elapsed().as_secs_f64()
    );
    Ok(found)
}

/// Runs one worker, and the next one where it dies.
fn look_after(
    request: &Request,
    kind: Kind,
    worker: u64,
    end: u64,
    found: &Mutex<Found>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let name = format!("{kind:?}-{worker}").to_lowercase();
    let state = request.folder.join("work").join(format!("{name}.state"));
    let path = request.folder.join("work").join(format!("{name}.json"));
    let step = request.jobs as u64;
    let (mut first, mut deaths) = (worker, 0);
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    while first < end {
        let work = Work {
            kind,
            module: request.module.clone(),
            folder: request.folder.clone(),
            seed: request.seed,
            first,
            end,
            step,
            state: state.clone(),
        };
        fs::write(&path, serde_json::to_string(&work)?)?;
        fs::write(&state, first.to_le_bytes())?;
        let before = (first - worker) / step;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("work")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let stdout = process.stdout.take().context("its output is a pipe")?;
        let mut has_ended = false;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            // Anything else is a panic's words, which come as an event too.
            let Ok(event) = serde_json::from_str::<Event>(&line) else {
                continue;
            };
            match event {
                Event::Done(count) => progress(before + count),
                Event::Fault { number, what } => {
                    eprintln!("FAULT, {kind:?} {number}: {what}");
                    lock().faults.push(Fault {
                        kind,
                        case: number,
                        what,
                    });
                }
                Event::Trap {
                    number,
                    reason,
                    function,
                } => lock().traps.entry((reason, function)).or_default().push(number),
                Event::MetDeadline(number) => lock().late.push(number),
                Event::End(tally) => {
                    has_ended = true;
                    lock().tally.add(tally);
                }
            }
        }
        let status = process.wait()?;
        if has_ended && status.success() {
            return Ok(());
        }
        let bytes = fs::read(&state)?;
        let number = bytes.try_into().map_or(first, u64::from_le_bytes);
        lock().faults.push(Fault {
            kind,
            case: number,
            what: format!("the host died: {status}"),
        });
        deaths += 1;
        if deaths > DEATHS_MAX {
            bail!("the host died {deaths} times, the last time with {kind:?} {number}: {status}");
        }
        first = number + step;
    }
    Ok(())
}

/// Runs one case and prints the program's whole output.
fn again(request: &Request, stock: &Stock, number: u64) -> Result<bool> {
    let case = stock.case(request.seed, number);
    println!("{} ({})", case.line, case.made_of);
    let program = Program::named(&request.module, 1)?;
    let line = case.line.replace("-v verbose", "-v debug");
    let (result, _) = program.run(&line, &case.files, Duration::from_secs(60));
    match result {
        Ok(output) => {
            print!("{}", String::from_utf8_lossy(&output.stderr));
            println!("exit code {}", output.exit_code);
            Ok(true)
        }
        Err(error) => {
            if let afmpeg::Error::Trap(trap) = &error {
                print!("{}", String::from_utf8_lossy(&trap.output.stderr));
            }
            println!("{error}");
            Ok(false)
        }
    }
}

/// A program that ran all that does what it did before: of each sample as it was made, ffprobe says the same.
fn after_all_that(request: &Request, stock: &Stock) -> Result<Vec<Fault>> {
    let program = Program::of(&request.module, request.jobs)?;
    let mut faults = Vec::new();
    for (number, sample) in stock.samples.iter().enumerate() {
        let Some(before) = sample.exit_code else { continue };
        let what = match sample.probe(&program) {
            Ok(exit_code) if exit_code == before => continue,
            Ok(exit_code) => format!("exit code {exit_code}, and it was {before}"),
            Err(error) => error.to_string(),
        };
        faults.push(Fault {
            kind: Kind::Media,
            case: number as u64,
            what: format!("the sample of {} as it was made: {what}", sample.name),
        });
    }
    Ok(faults)
}

/// Media that are opened by next to nothing test next to nothing.
fn too_little_reached(tally: &Tally, stock: &Stock, report: &Report) -> Vec<Fault> {
    let share = |all: usize, missed: &[String]| (all - missed.len()) as f64 / all.max(1) as f64;
    let demuxers = share(stock.demuxers.len(), &report.demuxers_not_opened);
    let decoders = share(stock.decoders.len(), &report.decoders_not_reached);
    let floors = [
        ("demuxers opened an input", demuxers, DEMUXERS_OPENED_MIN),
        ("decoders decoded or refused a packet", decoders, DECODERS_REACHED_MIN),
    ];
    let is_short = tally.cases < REACHING_RUN;
    let too_few = floors
        .into_iter()
        .filter(|(_, share, least)| !is_short && share < least);
    let fault = |(what, share, least): (&str, f64, f64)| Fault {
        kind: Kind::Media,
        case: tally.cases,
        what: format!(
            "{:.0} % of the {what}; at least {:.0} % should",
            100.0 * share,
            100.0 * least
        ),
    };
    too_few.map(fault).collect()
}

fn endings(tally: &Tally) -> String {
    let parts = tally.endings.iter().map(|(ending, count)| format!("{count} {ending}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn print_calls(found: &Found) {
    let tally = &found.tally;
    println!(
        "{} sequences of host calls, {} calls: {}",
        tally.cases,
        tally.calls,
        endings(tally)
    );
}

fn print_media(found: &Found, stock: &Stock, report: &Report) {
    let tally = &found.tally;
    println!("{} damaged media: {}", tally.cases, endings(tally));
    println!("limits: {} MiB, {} s", MEMORY_MAX_BYTES >> 20, TIMEOUT.as_secs());
    let samples: Vec<String> = report
        .samples
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    println!("samples: {}", samples.join(", "));
    let row = |what: &str, all: usize, missed: &[String]| {
        println!(
            "{what}: {} of {all}{}{}",
            all - missed.len(),
            if missed.is_empty() { "" } else { "; not " },
            missed.join(" ")
        );
    };
    row(
        "demuxers that opened an input",
        stock.demuxers.len(),
        &report.demuxers_not_opened,
    );
    row(
        "decoders that decoded or refused a packet",
        stock.decoders.len(),
        &report.decoders_not_reached,
    );
    row(
        "decoders that gave a frame",
        stock.decoders.len(),
        &report.decoders_without_frame,
    );
    row(
        "bitstream filters that ran",
        stock.bitstream_filters.len(),
        &report.bitstream_filters_not_opened,
    );
    for finding in &report.findings {
        let compared = match finding.scalar {
            Some(true) => "without SIMD too",
            Some(false) => "ONLY WITH SIMD",
            None => "not compared",
        };
        println!(
            "{}: {} in {}, {} cases such as {} ({}), {compared}: {}",
            if finding.cause.is_some() { "known" } else { "UNKNOWN" },
            finding.reason,
            finding.function,
            finding.cases.len(),
            finding.cases[0],
            finding.made_of,
            finding.command
        );
    }
    // A short run doesn't come to all that is known.
    let is_long = tally.cases >= LONG_RUN;
    for known in report.known_that_did_not_occur.iter().filter(|_| is_long) {
        println!("did not occur: {} in {}", known.reason, known.function);
    }
}
