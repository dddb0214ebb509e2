//! A release folder that was written before.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::build::record::Record;
use crate::digest;
use crate::dist::read;
use crate::error::usage;

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
