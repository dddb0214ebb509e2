//! The record of a module: what it is, what went into it, what it asks of an engine, what it can do. Sorted keys, no clock,
//! no path: same inputs, same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::build::execute::Results;
use crate::build::facts::Tools as BuildTools;
use crate::cache::{publish_file, write_file};
use crate::digest;
use crate::lock;
use crate::plan::finish::{DESCRIBE, FINISH};
use crate::plan::step::{Plan, source_digest};
use crate::process;
use crate::project::Project;
use crate::recipe::library::FFMPEG;
use crate::recipe::profile::{self, Recipe};
use crate::recipe::set;
use crate::wasm;
use crate::wasm::describe::Description;
use crate::wasm::inspect::Inspection;

/// History of the format: 1, the first; 2, tools name crates, passes and the digest of wasm-opt.
const FORMAT_VERSION: u32 = 2;

/// The crates that rewrite and compress modules.
const PASS_CRATES: [&str; 4] = ["brotli", "libdeflater", "wasm-encoder", "wasmparser"];

/// The forms of a module in artifacts/, by what follows the variant's name.
const FORMS: [&str; 3] = ["wasm", "wasm.br", "wasm.gz"];

#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub commands: BTreeMap<String, Vec<String>>,
    pub description: String,
    pub ffmpeg: Description,
    pub ffmpeg_version: String,
    pub files: BTreeMap<String, FileRecord>,
    pub format_version: u32,
    pub guest: BTreeMap<String, String>,
    pub license: String,
    pub module: Inspection,
    pub patches: BTreeMap<String, String>,
    pub sources: BTreeMap<String, SourceRecord>,
    pub tools: Tools,
    pub variant: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileRecord {
    pub sha256: String,
    pub size_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Of the archive, or of the unpacked tree where the archives of different origins differ.
    pub digest: String,
    pub license: String,
    pub version: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Tools {
    pub clang: String,
    // Records of format 1 lack these.
    /// What works for the passes over modules, by crate: its checksum in Cargo.lock.
    #[serde(default)]
    pub crates: BTreeMap<String, String>,
    /// The variables of every process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The passes of this program, by the digest of their sources and crates.
    #[serde(default)]
    pub passes: BTreeMap<String, String>,
    pub sdk: BTreeMap<String, String>,
    /// What unpacks and patches sources, by the digest of its sources and crates.
    #[serde(default)]
    pub unpacking: String,
    pub wasm_opt: String,
    /// Of the program wasm-opt and its libraries, as a tree.
    #[serde(default)]
    pub wasm_opt_digest: String,
}

impl Tools {
    pub fn new(project: &Project, tools: &BuildTools) -> Result<Tools> {
        Ok(Tools {
            clang: tools.sdk.identity.clang.clone(),
            crates: lock::checksums(&PASS_CRATES)?,
            environment: process::FIXED_ENVIRONMENT
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            passes: wasm::digests()?,
            sdk: tools.sdk.identity.inputs.clone(),
            unpacking: tools.facts.unpacking.clone(),
            wasm_opt: project.pins.source("binaryen")?.version.clone(),
            wasm_opt_digest: tools.facts.wasm_opt.clone(),
        })
    }

    /// Those that are others now.
    fn stale(&self, now: &Tools) -> Vec<String> {
        let mut stale = differing(&self.passes, &now.passes, "the pass");
        stale.extend(differing(&self.crates, &now.crates, "the crate"));
        let same_sdk = (&self.clang, &self.sdk) == (&now.clang, &now.sdk);
        let same_wasm_opt = (&self.wasm_opt, &self.wasm_opt_digest) == (&now.wasm_opt, &now.wasm_opt_digest);
        let others = [
            ("the SDK", same_sdk),
            ("wasm-opt", same_wasm_opt),
            ("what unpacks and patches sources", self.unpacking == now.unpacking),
            ("the environment of processes", self.environment == now.environment),
        ];
        stale.extend(changed(&others));
        stale
    }
}

/// The names of what is not the same.
pub fn changed<'a>(parts: &'a [(&'a str, bool)]) -> impl Iterator<Item = String> + 'a {
    parts
        .iter()
        .filter(|(_, is_same)| !is_same)
        .map(|(name, _)| (*name).to_owned())
}

/// What is not the same in both, by its name.
pub fn differing<T: PartialEq>(one: &BTreeMap<String, T>, other: &BTreeMap<String, T>, kind: &str) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing = names.into_iter().filter(|name| one.get(*name) != other.get(*name));
    differing.map(|name| format!("{kind} {name}")).collect()
}

impl Record {
    pub fn new(
        project: &Project,
        recipe: &Recipe,
        plan: &Plan,
        tools: &BuildTools,
        results: &Results,
    ) -> Result<Record> {
        let finished = results.folder(FINISH)?;
        let mut files = BTreeMap::new();
        for form in FORMS {
            let path = finished.join(format!("module.{form}"));
            let size_bytes = fs::metadata(&path)
                .with_context(|| format!("{} is missing", path.display()))?
                .len();
            let file = FileRecord {
                sha256: digest::file(&path)?,
                size_bytes,
            };
            files.insert(format!("{}.{form}", plan.profile), file);
        }
        let mut sources = BTreeMap::new();
        for name in recipe.components.libraries.iter().map(String::as_str).chain([FFMPEG]) {
            let source = project.pins.source(name)?;
            let record = SourceRecord {
                license: source.license.clone(),
                digest: source_digest(source).unwrap_or_default().to_owned(),
                version: source.version.clone(),
            };
            sources.insert(name.to_owned(), record);
        }
        let facts = &tools.facts;
        let patches = facts.patches.iter().filter(|(name, _)| sources.contains_key(*name));
        let record = Record {
            commands: plan.commands(),
            description: recipe.description.clone(),
            ffmpeg: read_json(&results.folder(DESCRIBE)?.join("description.json"))?,
            ffmpeg_version: project.pins.source(FFMPEG)?.version.clone(),
            format_version: FORMAT_VERSION,
            guest: facts.guest.clone(),
            license: recipe.components.license.clone(),
            module: read_json(&finished.join("inspection.json"))?,
            patches: patches.map(|(name, digest)| (name.clone(), digest.clone())).collect(),
            sources,
            tools: Tools::new(project, tools)?,
            variant: plan.profile.clone(),
            files,
        };
        let faults = record.faults(recipe);
        if !faults.is_empty() {
            bail!(
                "the module of profile {} is not what its profile says:\n  {}",
                plan.profile,
                faults.join("\n  ")
            );
        }
        Ok(record)
    }

    /// How a module differs from what its recipe promises.
    fn faults(&self, recipe: &Recipe) -> Vec<String> {
        let mut faults = Vec::new();
        let listed = |kind: &str| self.ffmpeg.components.get(kind).into_iter().flatten();
        let has = |kind: &str, name: &String| listed(kind).any(|one| set::fits(name, one));
        let components = &recipe.components;
        for (kind, names) in &components.requires {
            let missing = names.iter().filter(|name| !has(kind, name));
            faults.extend(missing.map(|name| format!("it has no {name} among its {kind}")));
        }
        for (kind, all) in &self.ffmpeg.components {
            let named = |one: &&String| {
                let mut names = components.requires.get(kind).into_iter().flatten();
                names.any(|name| set::fits(name, one))
            };
            let others = all.iter().filter(|one| components.is_exact && !named(one));
            faults.extend(others.map(|one| format!("it has {one} among its {kind}, which its sets don't name")));
        }
        for (kind, names) in &components.forbids {
            let found = names.iter().filter(|name| has(kind, name));
            faults.extend(found.map(|name| format!("it has {name} among its {kind}")));
        }
        let wanted = components.terms.ffmpeg_license();
        if self.ffmpeg.ffmpeg_license != wanted {
            faults.push(format!(
                "it says that it is under {}, and its recipe makes it {wanted}",
                self.ffmpeg.ffmpeg_license
            ));
        }
        let budget = recipe.size_budget_bytes;
        for (form, budget_bytes) in [
            ("wasm", budget.map(|budget| budget.raw)),
            ("wasm.gz", budget.map(|budget| budget.gzip)),
        ] {
            let size_bytes = self.size_bytes(form);
            if let Some(budget_bytes) = budget_bytes
                && size_bytes > budget_bytes
            {
                faults.push(format!(
                    "{}.{form} has {size_bytes} bytes, and its budget is {budget_bytes}",
                    self.variant
                ));
            }
        }
        faults
    }

    /// The record of a variant in a folder.
    pub fn read(folder: &Path, variant: &str) -> Result<Record> {
        read_json(&folder.join(format!("{variant}.json")))
    }

    /// What the repository and its tools have otherwise now than when the module was made.
    pub fn stale_inputs(&self, project: &Project, tools: &BuildTools) -> Result<Vec<String>> {
        let facts = &tools.facts;
        let mut stale = Vec::new();
        for (name, recorded) in &self.sources {
            let digest = project.pins.source.get(name).and_then(source_digest);
            if digest != Some(recorded.digest.as_str()) {
                stale.push(name.clone());
            }
        }
        for name in self.sources.keys() {
            if facts.patches.get(name) != self.patches.get(name) {
                stale.push(format!("patches/{name}"));
            }
        }
        if facts.guest != self.guest {
            stale.push("guest/".to_owned());
        }
        // Levels, levers, sets and recipes are in what they make of the processes.
        let commands = project.plan(&self.variant, facts)?.commands();
        stale.extend(differing(&self.commands, &commands, "the commands of step"));
        stale.extend(self.tools.stale(&Tools::new(project, tools)?));
        Ok(stale)
    }

    pub fn size_bytes(&self, form: &str) -> u64 {
        self.files
            .get(&format!("{}.{form}", self.variant))
            .map_or(0, |file| file.size_bytes)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// Puts a module in all its forms and its record into artifacts/. The record comes last: where it is, the rest is.
pub fn publish(root: &Path, record: &Record, results: &Results) -> Result<()> {
    let artifacts = root.join("artifacts");
    fs::create_dir_all(&artifacts).with_context(|| format!("cannot create {}", artifacts.display()))?;
    let finished = results.folder(FINISH)?;
    for form in FORMS {
        let name = format!("{}.{form}", record.variant);
        let target = artifacts.join(&name);
        if target.is_file() && digest::file(&target)? == record.files[&name].sha256 {
            continue;
        }
        let mut file = tempfile::NamedTempFile::new_in(&artifacts)?;
        let source = finished.join(format!("module.{form}"));
        std::io::copy(&mut fs::File::open(&source)?, &mut file)
            .with_context(|| format!("cannot write {}", target.display()))?;
        publish_file(file, &target)?;
    }
    let json = serde_json::to_string_pretty(record)? + "\n";
    write_if_changed(&artifacts.join(format!("{}.json", record.variant)), &json)?;
    write_if_changed(&artifacts.join("latest"), &format!("{}.wasm\n", record.variant))?;
    write_if_changed(&artifacts.join("README.md"), &table(&records(root)?))
}

fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_file(path, text.as_bytes())
}

/// All records in artifacts/, by variant.
pub fn records(root: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in profile::shipped(root)? {
        let path = root.join("artifacts").join(format!("{name}.json"));
        if path.is_file() {
            records.push(read_json(&path)?);
        }
    }
    Ok(records)
}

/// artifacts/README.md.
pub fn table(records: &[Record]) -> String {
    let mut text = String::from(
        "# Artifacts\n\n\
         Generated by `cargo xtask build` from the records beside it. The modules themselves are not in git; `cargo xtask\n\
         build --profile NAME` makes them again. Sizes in bytes.\n\n\
         | variant | what | raw | gzip | brotli | licence | engine features |\n|---|---|--:|--:|--:|---|---|\n",
    );
    for record in records {
        let features: Vec<&str> = record.module.engine_features.iter().map(String::as_str).collect();
        text += &format!(
            "| [{0}]({0}.json) | {1} | {2} | {3} | {4} | {5} | {6} |\n",
            record.variant,
            record.description,
            record.size_bytes("wasm"),
            record.size_bytes("wasm.gz"),
            record.size_bytes("wasm.br"),
            record.license,
            features.join(" ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_records() {
        let root = crate::project::root().unwrap();
        let records = records(&root).unwrap();
        assert!(!records.is_empty(), "artifacts/ has no record");
        let found = fs::read_to_string(root.join("artifacts/README.md")).unwrap();
        assert_eq!(
            found,
            table(&records),
            "run `cargo xtask build` to write artifacts/README.md again"
        );
    }
}
