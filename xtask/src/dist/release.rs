//! Making a release folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::build::facts::Tools;
use crate::build::record::Record;
use crate::cache::write_file;
use crate::dist::{self, Commit, Files, bundle, licences, packs, provenance, sbom, sign};
use crate::inputs::fetch::Fetcher;
use crate::process;
use crate::project::Project;

/// All files of a release but the sums and their signature.
pub fn contents(
    project: &Project,
    fetcher: &Fetcher,
    tools: &Tools,
    commit: &Commit,
    records: &[Record],
    version: &str,
) -> Result<Files> {
    let packs = packs::records(project, tools, records)?;
    let mut files = packs::files(project, &packs)?;
    let artifacts = project.root.join("artifacts");
    for record in records {
        let record_file = format!("{}.json", record.variant);
        for name in record.files.keys().chain([&record_file]) {
            files.insert(name.clone(), dist::read(&artifacts.join(name))?);
        }
        let statement = provenance::statement(record, &project.pins, commit, version);
        files.insert(format!("{}.provenance.json", record.variant), dist::json(&statement)?);
    }
    let used: BTreeSet<&String> = records.iter().flat_map(|record| record.sources.keys()).collect();
    let mut trees = BTreeMap::new();
    for name in used {
        trees.insert(name.clone(), fetcher.tree(name, project.pins.source(name)?)?);
    }
    files.extend(licences::files(project, records, &trees)?);
    let top = format!("afmpeg-{version}");
    let source = bundle::source(project, fetcher, commit, &trees, &top)?;
    files.insert(format!("{top}-source.tar.gz"), source);
    let bill = sbom::document(&project.root, records, &packs, &project.pins, version)?;
    files.insert("sbom.cdx.json".to_owned(), bill);
    Ok(files)
}

/// Adds the sums of all files, and their signature if there is a key for it.
pub fn add_sums(files: &mut Files, version: &str, secret_key: Option<&Path>) -> Result<()> {
    let sums = dist::sums(files).into_bytes();
    if let Some(key) = secret_key {
        let signature = sign::sign(key, &sums, &afmpeg_release::trusted_comment(version))?;
        files.insert(afmpeg_release::SIGNATURE.to_owned(), signature);
    }
    files.insert(afmpeg_release::SUMS.to_owned(), sums);
    Ok(())
}

/// Writes the folder: everything is there or nothing is.
pub fn write(files: &Files, out: &Path) -> Result<()> {
    let parent = out.parent().context("a release folder lies in another folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let scratch = tempfile::TempDir::new_in(parent)?;
    let made = scratch.path().join("made");
    for (name, data) in files {
        write_file(&made.join(name), data)?;
    }
    process::sync_disk();
    fs::rename(&made, out).with_context(|| format!("cannot put {} in place", out.display()))
}
