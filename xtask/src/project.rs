//! What every verb starts from: the repository's data and the cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::flags::{Origins, Profiles};
use crate::inputs::fetch::Fetcher;
use crate::inputs::pins::Pins;
use crate::inputs::source;
use crate::plan;
use crate::plan::step::{Facts, Plan};
use crate::recipe::library::Libraries;
use crate::recipe::profile::{self, Recipe};

#[derive(Debug)]
pub struct Project {
    pub root: PathBuf,
    pub libraries: Libraries,
    pub pins: Pins,
    pub cache: Cache,
    pub host: String,
}

impl Project {
    pub fn open(root: PathBuf) -> Result<Project> {
        let libraries = Libraries::load(&root)?;
        let pins = Pins::load(&root, &libraries)?;
        Ok(Project {
            root,
            libraries,
            pins,
            cache: Cache::open()?,
            host: source::host(),
        })
    }

    pub fn fetcher(&self, origins: &Origins) -> Fetcher<'_> {
        Fetcher::new(&self.cache, &origins.mirror, origins.offline, self.host.clone())
    }

    /// The profiles that were asked for, checked before any work begins.
    pub fn profiles(&self, asked: &Profiles) -> Result<Vec<String>> {
        let names = if asked.all {
            profile::shipped(&self.root)?
        } else {
            asked.profile.clone()
        };
        for name in &names {
            self.recipe(name)?;
        }
        Ok(names)
    }

    pub fn recipe(&self, name: &str) -> Result<Recipe> {
        // The C library and what the compiler calls are linked with every module.
        let runtime = self.pins.source("wasi-sysroot")?;
        Recipe::load(&self.root, name, &self.libraries, &runtime.license)
    }

    pub fn plan(&self, name: &str, facts: &Facts) -> Result<Plan> {
        plan::module(&self.recipe(name)?, &self.libraries, &self.pins, facts)
    }

    pub fn fate_plan(&self, name: &str, facts: &Facts) -> Result<Plan> {
        plan::fate(&self.recipe(name)?, &self.libraries, &self.pins, facts)
    }
}

/// The repository that this tool was built from.
pub fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in the repository")?.to_owned())
}
