//! One measurement, in a process that does nothing else, so that its processor time and memory are the work's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use afmpeg::{HostDir, Job, Output, Pack, Parallel, Runtime};
use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use super::host;
use super::samples::Measured;
use crate::module::need_cache;
use xtask::process::Invocation;

#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub subject: Subject,
    /// One job is run in each.
    pub folders: Vec<PathBuf>,
    /// So many at a time.
    pub at_a_time: usize,
    /// The program first.
    pub arguments: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Subject {
    Module {
        path: PathBuf,
        /// The cache of compiled code.
        compiled: PathBuf,
        cold: bool,
        /// Native code of the module, which runs in its place.
        pack: Option<PathBuf>,
        /// A job's video is cut into segments.
        all_cores: bool,
    },
    /// Programs for this machine.
    Native {
        folder: PathBuf,
        /// Pins each program to one core.
        one_core: bool,
    },
    /// Another FFmpeg in WebAssembly, which a script runs in node.
    Peer { script: PathBuf, package: PathBuf },
}

/// Runs and measures a request.
pub fn measure(request: &Request) -> Result<Measured> {
    let busy_before = host::busy_seconds();
    let mut measured = match &request.subject {
        Subject::Module {
            path,
            compiled,
            cold,
            pack,
            all_cores,
        } => {
            let run = if *all_cores { in_segments } else { in_one };
            module(request, (path, pack.as_deref()), (!cold).then_some(compiled), run)?
        }
        Subject::Native { folder, one_core } => native(request, folder, *one_core)?,
        Subject::Peer { script, package } => peer(request, script, package)?,
    };
    let own_seconds = cpu_seconds(UsageWho::RUSAGE_SELF)? + cpu_seconds(UsageWho::RUSAGE_CHILDREN)?;
    measured.others_cpu_seconds = busy_before
        .zip(host::busy_seconds())
        .map(|(before, after)| (after - before - own_seconds).max(0.0));
    Ok(measured)
}

fn in_one(runtime: &Runtime, arguments: &[String], folder: &Path) -> Result<Output> {
    let job = Job::new(arguments).file_system(".", Arc::new(HostDir::read_write(folder)?));
    Ok(runtime.run(job)?)
}

fn in_segments(runtime: &Runtime, arguments: &[String], folder: &Path) -> Result<Output> {
    let files = Arc::new(HostDir::read_write(folder)?);
    let command = Parallel::new(arguments.iter().skip(1)).required();
    let done = runtime.run_parallel(&command, |job| job.file_system(".", Arc::clone(&files) as _))?;
    Ok(done.output)
}

/// `module` is one with its pack if that is to run; without a cache of compiled code it is compiled.
fn module(
    request: &Request,
    (path, pack): (&Path, Option<&Path>),
    compiled: Option<&PathBuf>,
    run: impl Fn(&Runtime, &[String], &Path) -> Result<Output> + Sync,
) -> Result<Measured> {
    let mut measured = Measured::default();
    // Jobs of one command on all cores are counted by the command itself.
    let mut builder = Runtime::builder();
    if request.folders.len() > 1 {
        builder = builder.max_concurrency(request.at_a_time);
    }
    if let Some(pack) = pack {
        builder = builder.pack(&Pack::from_record(pack.with_extension("json"))?);
    }
    let started = Instant::now();
    let runtime = match compiled {
        None => builder.from_file(path)?,
        Some(compiled) => builder.cache_folder(compiled).from_file(path)?,
    };
    let seconds = Some(started.elapsed().as_secs_f64());
    need_cache(&runtime)?;
    match compiled {
        None => measured.compile_seconds = seconds,
        Some(_) => measured.load_seconds = seconds,
    }
    let cpu_before = cpu_seconds(UsageWho::RUSAGE_SELF)?;
    let first = Mutex::new(None);
    measured.wall_seconds = each(request, |_, folder| {
        let output = run(&runtime, &request.arguments, folder)?;
        if !output.success() {
            bail!("it ended with {}: {}", output.exit_code, output.error_message());
        }
        first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(output);
        Ok(())
    })?;
    measured.cpu_seconds = cpu_seconds(UsageWho::RUSAGE_SELF)? - cpu_before;
    measured.memory_peak_bytes = own_memory_peak_bytes()?;
    let output = first
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .context("no job has run")?;
    measured.instantiate_seconds = Some(output.timings.instantiate.as_secs_f64());
    measured.guest_memory_peak_bytes = Some(output.memory_peak_bytes);
    Ok(measured)
}

fn native(request: &Request, programs: &Path, one_core: bool) -> Result<Measured> {
    let (program, arguments) = request.arguments.split_first().context("no program")?;
    let program = programs.join(program).display().to_string();
    let wall_seconds = each(request, |worker, folder| {
        if one_core {
            keep_to_one_core(worker)?;
        }
        // What it prints lies beside its folder.
        Invocation::new(&program, folder)
            .arguments(arguments)
            .run(&folder.with_extension("log"))
    })?;
    Ok(Measured {
        wall_seconds,
        cpu_seconds: cpu_seconds(UsageWho::RUSAGE_CHILDREN)?,
        memory_peak_bytes: memory_peak_bytes(UsageWho::RUSAGE_CHILDREN)?,
        ..Measured::default()
    })
}

/// The JSON that the script prints.
#[derive(Deserialize)]
struct PeerMeasured {
    load_seconds: f64,
    wall_seconds: f64,
    cpu_seconds: f64,
}

fn peer(request: &Request, script: &Path, package: &Path) -> Result<Measured> {
    let [folder] = &request.folders[..] else {
        bail!("the peer runs one job at a time")
    };
    let printed = Invocation::new("node", folder)
        .arguments([script, package].map(|path| path.display().to_string()))
        .arguments(&request.arguments)
        .output()?;
    let printed: PeerMeasured = serde_json::from_str(&printed).context("the peer's script")?;
    Ok(Measured {
        wall_seconds: printed.wall_seconds,
        cpu_seconds: printed.cpu_seconds,
        load_seconds: Some(printed.load_seconds),
        memory_peak_bytes: memory_peak_bytes(UsageWho::RUSAGE_CHILDREN)?,
        ..Measured::default()
    })
}

/// Runs a job in every folder, so many at a time as was asked; the time from the first's start to the last's end.
fn each(request: &Request, run: impl Fn(usize, &Path) -> Result<()> + Sync) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let work = |worker: usize| -> Result<()> {
        while let Some(folder) = request.folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            run(worker, folder)?;
        }
        Ok(())
    };
    let started = Instant::now();
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..request.at_a_time)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    let wall_seconds = started.elapsed().as_secs_f64();
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a job panicked"))??;
    }
    Ok(wall_seconds)
}

/// FFmpeg has threads of its own around its codecs, so that "one thread" would still take two cores. Processes inherit
/// this from the thread that starts them.
#[cfg(target_os = "linux")]
fn keep_to_one_core(worker: usize) -> Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
    // The workers of one process each keep to a core at the end, as the first is the busiest with interrupts. A worker
    // that does so a second time has only its own left.
    let core = cores[(cores.len() - 1 + worker) % cores.len()];
    let mut one = CpuSet::new();
    one.set(core);
    Ok(sched_setaffinity(None, &one)?)
}

#[cfg(not(target_os = "linux"))]
fn keep_to_one_core(_worker: usize) -> Result<()> {
    bail!("this system cannot keep a process to one core")
}

fn cpu_seconds(who: UsageWho) -> Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The most memory that this process had since it was started. What getrusage says begins with the process that started
/// it, which may have compiled modules before.
fn own_memory_peak_bytes() -> Result<u64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return memory_peak_bytes(UsageWho::RUSAGE_SELF);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kilobytes.context("/proc/self/status has no VmHWM")? * 1024)
}

fn memory_peak_bytes(who: UsageWho) -> Result<u64> {
    let unit_bytes = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(getrusage(who)?.max_rss() as u64 * unit_bytes)
}
