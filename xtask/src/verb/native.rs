//! `cargo xtask native`: FFmpeg for this machine, which modules are compared with.

use std::path::PathBuf;
use std::thread;

use anyhow::Result;

use crate::execute::Executor;
use crate::fetch::Fetcher;
use crate::flags;
use crate::plan::native::Native;
use crate::progress::Progress;
use crate::workshop::Workshop;

/// The profile whose components the builds for speed have: that with all encoders.
pub const PROFILE: &str = "o3-gpl";

pub fn run(workshop: &Workshop, flags: &flags::Native) -> Result<()> {
    let fetcher = workshop.fetcher(&flags.origins);
    let jobs = flags.jobs.map_or_else(thread::available_parallelism, Ok)?.get();
    let progress = Progress::new();
    for native in [Native::WithAssembly, Native::WithoutAssembly] {
        let folder = build(workshop, &fetcher, native, PROFILE, jobs, &progress)?;
        println!("{:<16} {}", native.name(), folder.join("ffmpeg").display());
    }
    Ok(())
}

/// Builds it where needed; returns the folder of ffmpeg and ffprobe.
pub fn build(
    workshop: &Workshop,
    fetcher: &Fetcher,
    native: Native,
    profile: &str,
    jobs: usize,
    progress: &Progress,
) -> Result<PathBuf> {
    let sdk = workshop.sdk(fetcher)?;
    let plan = workshop.native_plan(native, profile, &workshop.facts(&sdk.identity)?)?;
    let executor = Executor {
        workshop,
        fetcher,
        sdk: &sdk,
        jobs,
    };
    let results = executor.run(&plan, progress)?;
    Ok(results.folder(&native.programs())?.to_owned())
}
