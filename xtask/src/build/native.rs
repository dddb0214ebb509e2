//! FFmpeg for this machine, which modules are compared with.

use std::path::PathBuf;

use anyhow::Result;

use crate::build::execute::Executor;
use crate::build::facts::Tools;
use crate::inputs::fetch::Fetcher;
use crate::plan::native::{self, Machine, Native};
use crate::process::Invocation;
use crate::progress::Progress;
use crate::project::Project;

/// The profile whose components the builds for speed have: that with all encoders.
pub const PROFILE: &str = "o3-gpl-full";

/// Builds it where needed; returns the folder of ffmpeg and ffprobe.
pub fn build(
    project: &Project,
    fetcher: &Fetcher,
    native: Native,
    profile: &str,
    jobs: usize,
    progress: &Progress,
) -> Result<PathBuf> {
    let tools = Tools::find(project, fetcher)?;
    let recipe = project.recipe(profile)?;
    let machine = Machine {
        host: project.host.clone(),
        compiler: Invocation::new("cc", &project.root).arguments(["--version"]).output()?,
    };
    let plan = native::plan(
        native,
        &recipe,
        &project.libraries,
        &project.pins,
        &tools.facts,
        &machine,
    )?;
    let executor = Executor {
        project,
        fetcher,
        tools: &tools,
        jobs,
    };
    let results = executor.run(&plan, progress)?;
    Ok(results.folder(&native.programs())?.to_owned())
}
