//! Digests of all that a plan depends on beside the data files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::sdk::{self, Sdk};
use crate::digest::{self, Key};
use crate::inputs::fetch::Fetcher;
use crate::inputs::{self, patch, unpack};
use crate::plan::step::{Facts, Step};
use crate::process::{self, Invocation};
use crate::project::Project;
use crate::translate;
use crate::wasm;

/// The variable that names an unpacked Binaryen to use, of the pinned version.
pub const BINARYEN_VARIABLE: &str = "BINARYEN_PATH";

/// The tools of a build, and the digests that its plan is made of.
#[derive(Debug)]
pub struct Tools {
    pub sdk: Sdk,
    pub wasm_opt: PathBuf,
    pub facts: Facts,
}

impl Tools {
    /// Finds the tools, fetching them where needed.
    pub fn find(project: &Project, fetcher: &Fetcher) -> Result<Tools> {
        let sdk = sdk::locate(&project.cache, &project.pins, fetcher, &project.host)?;
        let (folder, wasm_opt) = wasm_opt(project, fetcher)?;
        let facts = Facts {
            sdk: sdk.identity.digest(),
            wasm_opt: digest::tree(&folder)?,
            environment: environment(),
            unpacking: inputs::unpacking()?,
            guest: guest_files(&project.root)?,
            pack: pack_files(&project.root)?,
            patches: patches(project)?,
            passes: passes()?,
            host: project.host.clone(),
        };
        Ok(Tools { sdk, wasm_opt, facts })
    }
}

/// The pinned wasm-opt, and the folder of all that it is made of.
fn wasm_opt(project: &Project, fetcher: &Fetcher) -> Result<(PathBuf, PathBuf)> {
    let source = project.pins.source("binaryen")?;
    let given = std::env::var_os(BINARYEN_VARIABLE);
    let folder = match &given {
        Some(folder) => std::path::absolute(folder)?,
        None => fetcher.tree("binaryen", source)?,
    };
    let path = folder.join("bin/wasm-opt");
    let version = Invocation::new(path.display().to_string(), &project.root)
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
    match given {
        // Of a folder that was given, what a pinned one would have.
        Some(_) => Ok((kept(project, &folder, &source.keep)?, path)),
        None => Ok((folder, path)),
    }
}

/// A copy of the files of a folder that a pin would keep, which is there as long as the cache.
fn kept(project: &Project, folder: &Path, keep: &[String]) -> Result<PathBuf> {
    let globs = unpack::globs(keep)?;
    let mut key = Key::new("given tool");
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = entry.path().strip_prefix(folder)?;
        // A link counts as what it leads to.
        if globs.is_match(name) && entry.path().is_file() {
            key = key
                .field(name.as_os_str().as_encoded_bytes())
                .field(digest::file(entry.path())?);
            files.push(name.to_owned());
        }
    }
    let (path, _) = project.cache.folder("trees", &key.finish(), |made| {
        for name in &files {
            let target = made.join(name);
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            fs::copy(folder.join(name), target)?;
        }
        Ok(())
    })?;
    Ok(path)
}

fn environment() -> String {
    let mut key = Key::new("environment");
    for (name, value) in process::FIXED_ENVIRONMENT {
        key = key.field(name).field(value);
    }
    key.finish()
}

/// Fails if what a step took from the repository is no longer what its key was made of, as after an edit while it ran:
/// its result would be kept under a key that it does not belong to.
pub fn check_unchanged(project: &Project, step: &Step) -> Result<()> {
    let (guest, pack) = (guest_files(&project.root)?, pack_files(&project.root)?);
    let patches = patches(project)?;
    for (input, digest) in &step.inputs {
        let (now, path) = match input.split_once(' ') {
            Some(("guest", file)) => (guest.get(file), format!("guest/{file}")),
            Some(("pack", file)) => (pack.get(file), format!("pack/{file}")),
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
pub fn guest_files(root: &Path) -> Result<BTreeMap<String, String>> {
    files_below(root, "guest")
}

/// The digests of passes over modules, and of that which packs begin with.
pub fn passes() -> Result<BTreeMap<String, String>> {
    let mut passes = wasm::digests()?;
    passes.insert(translate::NAME.to_owned(), translate::digest()?);
    Ok(passes)
}

/// The same of pack/.
pub fn pack_files(root: &Path) -> Result<BTreeMap<String, String>> {
    files_below(root, "pack")
}

fn files_below(root: &Path, folder: &str) -> Result<BTreeMap<String, String>> {
    let root = root.join(folder);
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.with_context(|| format!("cannot list {folder}/"))?;
        let name = entry.path().strip_prefix(&root)?;
        if entry.file_type().is_file() && !name.starts_with("tests") && name.extension().is_none_or(|kind| kind != "md")
        {
            let name = name
                .to_str()
                .with_context(|| format!("a file name in {folder}/ is not UTF-8"))?;
            files.insert(name.to_owned(), digest::file(entry.path())?);
        }
    }
    Ok(files)
}

/// The digest of each project's patches.
pub fn patches(project: &Project) -> Result<BTreeMap<String, String>> {
    let mut patches = BTreeMap::new();
    for name in project.pins.source.keys() {
        let folder = project.root.join("patches").join(name);
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
