//! `cargo xtask fetch`: everything that builds and tests need, into the cache.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::build::sdk;
use crate::error::{self, environment};
use crate::flags::Fetch;
use crate::inputs::{crates, tests};
use crate::progress::Progress;
use crate::project::Project;
use crate::recipe::library::FFMPEG;

/// Parts of SDKs, of which only one is taken.
const SDKS: [&str; 2] = ["wasi-sdk", "wasi-sysroot"];

const MIRROR: &str = "run it again with a network, or with `--mirror DIR` where DIR has the archives";

pub fn run(project: &Project, flags: &Fetch) -> Result<()> {
    let progress = Progress::new();
    let fetcher = project.fetcher(&flags.origins);
    let mut names: BTreeSet<String> = ["binaryen".to_owned(), FFMPEG.to_owned()].into();
    for name in project.profiles(&flags.profiles)? {
        let libraries = project.recipe(&name)?.components.libraries;
        for library in &libraries {
            let system = project.libraries.get(library)?.build.system;
            names.extend(system.tools().iter().map(|&tool| tool.to_owned()));
        }
        names.extend(libraries);
    }
    if flags.profiles.all {
        // All that is pinned, for every profile that can be named, and for tests and benches.
        let is_here = |name: &&String| project.pins.source[*name].origins_for(&project.host).next().is_some();
        names.extend(project.pins.source.keys().filter(is_here).cloned());
    }
    let work = progress.start("sdk");
    let sdk = sdk::locate(&project.cache, &project.pins, &fetcher, &project.host)?;
    work.finish(&sdk.identity.clang, None);
    // One that cannot be had keeps nobody from what needs the others.
    let mut missing = Vec::new();
    for name in names.iter().filter(|name| !SDKS.contains(&name.as_str())) {
        let work = progress.start(name);
        let source = project.pins.source(name)?;
        match fetcher.tree(name, source) {
            Ok(_) => work.finish(&source.version, None),
            Err(error) => {
                drop(work);
                error::print(&error);
                missing.push(name.as_str());
            }
        }
    }
    if flags.profiles.all {
        let work = progress.start("what tests take");
        tests::link(project, &fetcher)?;
        work.finish(tests::FOLDER, None);
    }
    if flags.profiles.all && !flags.origins.offline {
        let work = progress.start("crates of Cargo.lock");
        crates::fetch(&project.root)?;
        work.finish("done", None);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(environment(format!("all is here but {missing}, as said above"))
        .hint(MIRROR)
        .into())
}
