//! `cargo xtask bump`: pins another version of an input, then builds and tests modules with it and compares them.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::cache::write_file;
use crate::flags::{Build, Bump, BumpStage, Profiles};
use crate::inputs::update::compare::{self, Change};
use crate::inputs::update::{self, NewOrigin};
use crate::pass_on;
use crate::project::{self, Project};

/// What --json writes.
#[derive(Serialize)]
struct Report {
    source: String,
    from: String,
    to: String,
    origins: Vec<NewOrigin>,
    modules: BTreeMap<String, Change>,
}

pub fn run(project: &Project, flags: &Bump) -> Result<()> {
    let profiles = Profiles {
        profile: flags.profile.clone(),
        all: flags.profile.is_empty(),
    };
    let profiles = project.profiles(&profiles)?;
    let old = update::pinned(project, flags)?;
    let mut report = Report {
        source: flags.source.clone(),
        from: old.version.clone(),
        to: flags.version.clone(),
        origins: Vec::new(),
        modules: BTreeMap::new(),
    };
    if old.version == flags.version {
        println!("{} {} is pinned already", flags.source, old.version);
    } else {
        println!("{} {} -> {}", flags.source, old.version, flags.version);
        report.origins = update::pin(project, flags, old)?;
    }
    if !flags.dry_run && flags.until != BumpStage::Pin {
        // What follows is planned from the pin file as it is now.
        let project = Project::open(project.root.clone())?;
        build(&project, flags, &profiles)?;
        report.modules = compare::with_committed(&project, &profiles)?;
    }
    if let Some(path) = &flags.json {
        write_file(path, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    }
    if !flags.dry_run && flags.until == BumpStage::Test {
        test(project, flags, &profiles)?;
    }
    Ok(())
}

fn build(project: &Project, flags: &Bump, profiles: &[String]) -> Result<()> {
    let build = Build {
        profiles: Profiles {
            profile: profiles.to_vec(),
            all: false,
        },
        pack: Vec::new(),
        origins: flags.origins.clone(),
        jobs: flags.jobs,
        dry_run: false,
        until: None,
    };
    super::build::run(project, &build)
}

/// All checks, on the modules of these profiles.
fn test(project: &Project, flags: &Bump, profiles: &[String]) -> Result<()> {
    let mut arguments = vec!["--root".to_owned(), project.root.display().to_string(), "test".into()];
    for name in profiles {
        arguments.extend(["--profile".to_owned(), name.clone()]);
    }
    arguments.extend(flags.origins.arguments());
    if !pass_on::lab(&project::root()?, arguments)?.interactive()? {
        bail!("the modules are built, but tests failed");
    }
    Ok(())
}
