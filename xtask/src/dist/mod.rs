//! Releases: what a release folder holds beside the modules, and the packages that are made of one.

pub mod archive;
pub mod bundle;
pub mod crates;
pub mod folder;
pub mod licences;
pub mod npm;
pub mod package;
pub mod packs;
pub mod provenance;
pub mod release;
#[cfg(test)]
pub(crate) mod sample;
pub mod sbom;
pub mod sign;
pub mod web;
pub mod wheel;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::build::facts::Tools;
use crate::build::record::{FileRecord, Record};
use crate::digest;
use crate::error::{Failure, environment, usage};
use crate::process::Invocation;
use crate::project::Project;

/// The files of a release by name: all flat, as web servers, registries and forges take them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The commit that is released, and the files that it has.
#[derive(Debug)]
pub struct Commit {
    pub id: String,
    pub files: Vec<String>,
}

/// The folders that builds read, but for this program's own.
const READ_BY_BUILDS: [&str; 6] = ["ffmpeg-src", "guest", "licences", "pack", "patches", "profiles"];

/// Asks git what is released. What is not committed cannot be rebuilt by others.
pub fn commit(root: &Path, allow_dirty: bool) -> Result<Commit> {
    let git = |arguments: &[&str]| {
        Invocation::new("git", root)
            .arguments(arguments.iter().copied())
            .inherit_environment()
            .output()
            .map_err(|error| error.context(environment("a release is made of a commit, and git names none")))
    };
    let id = git(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let mut changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    // What builds take from these folders goes into modules whether git knows of it or not.
    let status = ["status", "--porcelain", "--untracked-files=all", "--"];
    let untracked = git(&[&status[..], &READ_BY_BUILDS].concat())?;
    let untracked = untracked.lines().filter(|line| line.starts_with("??"));
    changes.extend(untracked.map(|line| format!("{line}\n")));
    if !changes.is_empty() && !allow_dirty {
        return Err(usage(format!(
            "the repository has changes that are not committed:\n{}",
            changes.trim_end()
        ))
        .hint("commit them, or give --allow-dirty for a trial")
        .into());
    }
    let listing = git(&["ls-files", "-z"])?;
    let files = listing.split('\0').filter(|name| !name.is_empty());
    Ok(Commit {
        id,
        files: files.map(str::to_owned).collect(),
    })
}

/// The records of these profiles, if their modules lie in artifacts/ and are made of what is in the repository now.
pub fn records(project: &Project, tools: &Tools, names: &[String]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in names {
        let folder = project.root.join("artifacts");
        let again = format!("run `cargo xtask build --profile {name}`");
        let record = Record::read(&folder, name).map_err(|error| {
            error.context(environment(format!("profile {name} has no usable record")).hint(again.clone()))
        })?;
        let stale = record.stale_inputs(project, tools)?;
        if !stale.is_empty() {
            return Err(environment(format!(
                "artifacts/{name}.json is of other inputs than the repository has: {}",
                stale.join(", ")
            ))
            .hint(again)
            .into());
        }
        check_files(&folder, &record.files).map_err(|failure| failure.hint(again))?;
        records.push(record);
    }
    Ok(records)
}

/// The forms of a module are there, and are those that its record names.
fn check_files(folder: &Path, files: &BTreeMap<String, FileRecord>) -> Result<(), Failure> {
    for (file, recorded) in files {
        let path = folder.join(file);
        if !path.is_file() {
            return Err(environment(format!("there is no artifacts/{file}")));
        }
        let got = digest::file(&path).map_err(|error| environment(format!("{error:#}")))?;
        if got != recorded.sha256 {
            return Err(environment(format!(
                "artifacts/{file} is not what its record says\n  wanted sha256 {}\n  got           {got}",
                recorded.sha256
            )));
        }
    }
    Ok(())
}

/// The sums of all files, in the format of `sha256sum`.
pub fn sums(files: &Files) -> String {
    files
        .iter()
        .map(|(name, data)| format!("{}  {name}\n", digest::bytes(data)))
        .collect()
}

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// JSON as files hold it: sorted keys, a line each.
pub fn json(value: &serde_json::Value) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}
