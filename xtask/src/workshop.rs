//! What every verb starts from: the repository's data, the cache, and the tools that a build uses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::digest::{self, Key};
use crate::execute;
use crate::fetch::Fetcher;
use crate::flags::{Origins, Profiles};
use crate::patch;
use crate::pins::{self, Pins};
use crate::plan::native::{Machine, Native};
use crate::plan::{self, Facts, Plan, Step};
use crate::process::Invocation;
use crate::profile::{self, ComponentSet, Profile};
use crate::sdk::{self, Sdk};
use crate::unpack;

/// The variable that names an unpacked Binaryen to use, of the pinned version.
const BINARYEN_VARIABLE: &str = "BINARYEN_PATH";

pub struct Workshop {
    pub root: PathBuf,
    pub pins: Pins,
    pub cache: Cache,
    pub host: String,
}

impl Workshop {
    pub fn open(root: PathBuf) -> Result<Workshop> {
        let pins = Pins::load(&root)?;
        Ok(Workshop {
            root,
            pins,
            cache: Cache::open()?,
            host: pins::host(),
        })
    }

    pub fn fetcher(&self, origins: &Origins) -> Fetcher<'_> {
        Fetcher::new(&self.cache, &origins.mirror, origins.offline, self.host.clone())
    }

    /// The profiles that were asked for, checked before any work begins.
    pub fn profiles(&self, asked: &Profiles) -> Result<Vec<String>> {
        let names = if asked.all {
            profile::names(&self.root)?
        } else {
            asked.profile.clone()
        };
        for name in &names {
            self.recipe(name)?;
        }
        Ok(names)
    }

    pub fn recipe(&self, name: &str) -> Result<(Profile, ComponentSet)> {
        let profile = Profile::load(&self.root, name)?;
        let components = ComponentSet::load(&self.root, &profile.components)?;
        Ok((profile, components))
    }

    pub fn sdk(&self, fetcher: &Fetcher) -> Result<Sdk> {
        sdk::locate(&self.cache, &self.pins, fetcher, &self.host)
    }

    /// The pinned wasm-opt.
    pub fn wasm_opt(&self, fetcher: &Fetcher) -> Result<PathBuf> {
        let source = self.pins.source("binaryen")?;
        let folder = match std::env::var_os(BINARYEN_VARIABLE) {
            Some(folder) => std::path::absolute(folder)?,
            None => fetcher.tree("binaryen", source)?,
        };
        let path = folder.join("bin/wasm-opt");
        let version = Invocation::new(path.display().to_string(), &self.root)
            .arguments(["--version"])
            .output()?;
        if !version.contains(&format!("version {}", source.version)) {
            bail!(
                "{} says `{}`, but version {} is pinned",
                path.display(),
                version.trim(),
                source.version
            );
        }
        Ok(path)
    }

    /// The registry that publishing is tested against, where this machine can run one.
    pub fn test_registry(&self) -> Option<(&'static str, &pins::Source)> {
        let name = "docker-registry";
        let source = self.pins.source.get(name)?;
        source.origins_for(&self.host).next()?;
        Some((name, source))
    }

    /// The folder of the Nix that flake.nix is evaluated with, where this machine can run it.
    pub fn test_nix(&self, fetcher: &Fetcher) -> Result<Option<PathBuf>> {
        let packages: Vec<_> = self
            .pins
            .nix_package
            .iter()
            .filter(|package| package.host == self.host)
            .collect();
        if packages.is_empty() {
            return Ok(None);
        }
        let mut key = Key::new("unpacked nix");
        for package in &packages {
            key = key.field(&package.sha256);
        }
        let (path, _) = self.cache.folder("trees", &key.finish(), |made| {
            packages
                .iter()
                .try_for_each(|package| unpack::container(&fetcher.debian_package(package)?, made))
        })?;
        Ok(Some(path))
    }

    pub fn facts(&self, sdk: &sdk::Identity) -> Result<Facts> {
        Ok(Facts {
            sdk: sdk.digest(),
            binaryen: self.pins.source("binaryen")?.version.clone(),
            guest: self.guest_files()?,
            patches: self.patches()?,
            transforms: execute::transforms(),
        })
    }

    pub fn plan(&self, name: &str, facts: &Facts) -> Result<Plan> {
        let (profile, components) = self.recipe(name)?;
        plan::plan(name, &profile, &components, &self.pins, facts)
    }

    pub fn fate_plan(&self, name: &str, facts: &Facts) -> Result<Plan> {
        let (profile, components) = self.recipe(name)?;
        plan::fate_plan(name, &profile, &components, &self.pins, facts)
    }

    pub fn native_plan(&self, native: Native, profile: &str, facts: &Facts) -> Result<Plan> {
        let (profile, components) = self.recipe(profile)?;
        let machine = Machine {
            host: self.host.clone(),
            compiler: Invocation::new("cc", &self.root).arguments(["--version"]).output()?,
        };
        plan::native::plan(native, &profile, &components, &self.pins, facts, &machine)
    }

    /// Fails if what a step took from the repository is no longer what its key was made of, as after an edit while it ran:
    /// its result would be kept under a key that it does not belong to.
    pub fn check_unchanged(&self, step: &Step) -> Result<()> {
        let (guest, patches) = (self.guest_files()?, self.patches()?);
        for (input, digest) in &step.inputs {
            let (now, path) = match input.split_once(' ') {
                Some(("guest", file)) => (guest.get(file), format!("guest/{file}")),
                Some(("patches", project)) => (patches.get(project), format!("patches/{project}")),
                _ => continue,
            };
            if now != Some(digest) {
                bail!("{path} was changed while the step ran, so its result is dropped; run the build again");
            }
        }
        Ok(())
    }

    /// Digests of the files below guest/ by their path there, but for its tests and texts, which reach no module.
    pub fn guest_files(&self) -> Result<BTreeMap<String, String>> {
        let root = self.root.join("guest");
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root) {
            let entry = entry.context("cannot list guest/")?;
            let name = entry.path().strip_prefix(&root)?;
            if entry.file_type().is_file()
                && !name.starts_with("tests")
                && name.extension().is_none_or(|kind| kind != "md")
            {
                let name = name.to_str().context("a file name in guest/ is not UTF-8")?;
                files.insert(name.to_owned(), digest::file(entry.path())?);
            }
        }
        Ok(files)
    }

    /// The digest of each project's patches.
    pub fn patches(&self) -> Result<BTreeMap<String, String>> {
        let mut patches = BTreeMap::new();
        for name in self.pins.source.keys() {
            let folder = self.root.join("patches").join(name);
            let mut key = Key::new("patches");
            let series = patch::series(&folder)?;
            for file in &series {
                let path = folder.join(file);
                key = key.field(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
            }
            if !series.is_empty() {
                patches.insert(name.clone(), key.finish());
            }
        }
        Ok(patches)
    }
}

/// The repository that this tool was built from.
pub fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in the repository")?.to_owned())
}
