//! What a release folder holds, beside the modules.

pub mod bundle;
pub mod pack;
pub mod provenance;
pub mod sbom;
pub mod sign;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::record::Record;
use crate::digest;
use crate::error::{environment, usage};
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
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
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
pub fn records(project: &Project, names: &[String]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in names {
        let folder = project.root.join("artifacts");
        let again = format!("run `cargo xtask build --profile {name}`");
        let record = Record::read(&folder, name)
            .map_err(|error| error.context(environment(format!("profile {name} has no record")).hint(again.clone())))?;
        let stale = record.stale_inputs(project)?;
        if !stale.is_empty() {
            return Err(environment(format!(
                "artifacts/{name}.json is of other inputs than the repository has: {}",
                stale.join(", ")
            ))
            .hint(again)
            .into());
        }
        for (file, recorded) in &record.files {
            let path = folder.join(file);
            if !path.is_file() {
                return Err(environment(format!("there is no artifacts/{file}")).hint(again).into());
            }
            let got = digest::file(&path)?;
            if got != recorded.sha256 {
                return Err(environment(format!(
                    "artifacts/{file} is not what its record says\n  wanted sha256 {}\n  got           {got}",
                    recorded.sha256
                ))
                .hint(again)
                .into());
            }
        }
        records.push(record);
    }
    Ok(records)
}

/// What the licences of everything in the modules say.
pub fn licences(project: &Project, trees: &BTreeMap<String, PathBuf>) -> Result<Files> {
    let mut files = Files::new();
    let mut take = |folder: &Path, prefix: &str, wanted: &dyn Fn(&str) -> bool| -> Result<()> {
        let before = files.len();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && wanted(&name) {
                files.insert(format!("LICENSE-{prefix}{name}"), read(&path)?);
            }
        }
        if files.len() == before {
            bail!("{} has no licence", folder.display());
        }
        Ok(())
    };
    for (name, tree) in trees {
        take(tree, &format!("{name}-"), &|file| {
            file.starts_with("COPYING") || file.starts_with("LICENSE")
        })?;
    }
    take(&project.root.join("licences"), "", &|file| file.ends_with(".txt"))?;
    files.insert("NOTICE.md".to_owned(), read(&project.root.join("licences/NOTICE.md"))?);
    Ok(files)
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

/// A release folder that is there, every file of which is what its sums say.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pub version: String,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Folder> {
        let unusable = |message: String| {
            usage(format!("{} is no signed release: {message}", path.display()))
                .hint("`cargo xtask dist --secret-key FILE` writes one")
        };
        let text =
            |name: &str| fs::read_to_string(path.join(name)).map_err(|error| unusable(format!("{name}: {error}")));
        let sums = text(afmpeg_release::SUMS)?;
        // Whose signature it is matters to those who pull; here it says which version this is.
        let version = text(afmpeg_release::SIGNATURE)?
            .lines()
            .find_map(|line| line.strip_prefix("trusted comment: afmpeg ").map(str::to_owned))
            .ok_or_else(|| unusable("its signature names no version".to_owned()))?;
        for line in sums.lines() {
            let (wanted, name) = line
                .split_once("  ")
                .ok_or_else(|| unusable(format!("its sums have the line `{line}`")))?;
            let got = digest::file(&path.join(name)).map_err(|error| unusable(format!("{error:#}")))?;
            if got != wanted {
                bail!(
                    "{} is not what its release says\n  wanted sha256 {wanted}\n  got           {got}",
                    path.join(name).display()
                );
            }
        }
        Ok(Folder {
            path: path.to_owned(),
            version,
        })
    }

    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        read(&self.path.join(name))
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The records of all modules in it, sorted.
    pub fn records(&self) -> Result<Vec<Record>> {
        let names = self.names()?;
        let modules = names.iter().filter_map(|name| name.strip_suffix(".wasm"));
        modules.map(|name| Record::read(&self.path, name)).collect()
    }
}
