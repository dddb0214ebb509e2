//! Modules with their records and licences: a release folder that was written before, or artifacts/.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::facts::Tools;
use crate::build::record::Record;
use crate::digest;
use crate::dist::{self, Files, licences, read};
use crate::error::usage;
use crate::inputs::fetch::Fetcher;
use crate::project::Project;

/// Where packages are made from.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pub version: String,
    /// The files that the sums of a release name, and the sums with their signature: nobody has vouched for others that lie
    /// there.
    listed: Option<BTreeSet<String>>,
    /// What is not in the folder itself: the licence texts of modules that are in no release yet.
    added: Files,
    /// The names of the modules, where not all in the folder are meant.
    variants: Option<Vec<String>>,
}

impl Folder {
    /// Modules of artifacts/, if they are made of what is in the repository now.
    pub fn of_artifacts(project: &Project, fetcher: &Fetcher, names: &[String]) -> Result<Folder> {
        let records = dist::records(project, &Tools::find(project, fetcher)?, names)?;
        let mut trees = BTreeMap::new();
        for name in records.iter().flat_map(|record| record.sources.keys()) {
            if !trees.contains_key(name) {
                trees.insert(name.clone(), fetcher.tree(name, project.pins.source(name)?)?);
            }
        }
        Ok(Folder {
            path: project.root.join("artifacts"),
            version: project.pins.release_version()?,
            listed: None,
            added: licences::files(project, &records, &trees)?,
            variants: Some(names.to_vec()),
        })
    }

    /// A release folder, every file of which is what its sums say.
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
        let mut listed = BTreeSet::from([afmpeg_release::SUMS, afmpeg_release::SIGNATURE].map(str::to_owned));
        for line in sums.lines() {
            let (wanted, name) = line
                .split_once("  ")
                .filter(|(_, name)| !name.contains(['/', '\\']))
                .ok_or_else(|| unusable(format!("its sums have the line `{line}`")))?;
            listed.insert(name.to_owned());
            let got = digest::file(&path.join(name)).map_err(|error| unusable(format!("{error:#}")))?;
            if got != wanted {
                bail!(
                    "{} is not what its release says\n  wanted sha256 {wanted}\n  got           {got}",
                    path.join(name).display()
                );
            }
        }
        if !listed.iter().any(|name| name.ends_with(".wasm")) {
            return Err(unusable("its sums name no module".to_owned()).into());
        }
        Ok(Folder {
            path: path.to_owned(),
            version,
            listed: Some(listed),
            added: Files::new(),
            variants: None,
        })
    }

    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        if let Some(data) = self.added.get(name) {
            return Ok(data.clone());
        }
        if self.listed.as_ref().is_some_and(|listed| !listed.contains(name)) {
            return Err(usage(format!("the sums of {} do not name {name}", self.path.display())).into());
        }
        read(&self.path.join(name))
    }

    /// The files by which a module's packs are had: each compressed, and its record.
    pub fn packs(&self, variant: &str) -> Result<Vec<String>> {
        let mut names = self.names()?;
        let of_module = format!("{variant}.");
        let packs: Vec<String> = names
            .iter()
            .filter_map(|name| name.strip_prefix(&of_module)?.strip_suffix(".so.br"))
            .map(str::to_owned)
            .collect();
        names.retain(|name| {
            let machine = name.strip_prefix(&of_module);
            let machine = machine.and_then(|rest| rest.strip_suffix(".so.br").or(rest.strip_suffix(".json")));
            machine.is_some_and(|machine| packs.iter().any(|pack| pack == machine))
        });
        Ok(names)
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        if let Some(listed) = &self.listed {
            return Ok(listed.iter().cloned().collect());
        }
        let mut names: Vec<String> = self.added.keys().cloned().collect();
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
        let is_meant = |name: &&str| {
            let variants = self.variants.as_ref();
            variants.is_none_or(|variants| variants.iter().any(|variant| variant == name))
        };
        modules
            .filter(is_meant)
            .map(|name| {
                let record = format!("{name}.json");
                serde_json::from_slice(&self.file(&record)?).with_context(|| format!("{record} is damaged"))
            })
            .collect()
    }
}
