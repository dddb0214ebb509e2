//! `cargo xtask native`: FFmpeg for this machine, which modules are compared with.

use anyhow::Result;

use crate::build::native::{PROFILE, build};
use crate::flags;
use crate::plan::native::Native;
use crate::progress::Progress;
use crate::project::Project;

pub fn run(project: &Project, flags: &flags::Native) -> Result<()> {
    let fetcher = project.fetcher(&flags.origins);
    let jobs = flags::jobs(flags.jobs)?;
    let progress = Progress::new();
    for native in [Native::WithAssembly, Native::WithoutAssembly] {
        let folder = build(project, &fetcher, native, PROFILE, jobs, &progress)?;
        println!("{:<16} {}", native.name(), folder.join("ffmpeg").display());
    }
    Ok(())
}
