//! `cargo xtask dist`: a folder with everything that a release is, to be signed, served and verified.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use crate::cache::write_file;
use crate::error::usage;
use crate::flags::Dist;
use crate::process;
use crate::profile;
use crate::progress::Progress;
use crate::release::{self, Files, bundle, provenance, sbom, sign};
use crate::workshop::Workshop;

pub fn run(workshop: &Workshop, flags: &Dist) -> Result<()> {
    let version = workshop.pins.release_version()?;
    let names = workshop.profiles(&flags.profiles)?;
    if let Some(trial) = names.iter().find(|name| profile::is_trial(name)) {
        return Err(usage(format!("{trial} is built to be measured, not to be released")).into());
    }
    let out = match &flags.out {
        Some(folder) => std::path::absolute(folder)?,
        None => workshop.root.join("dist").join(&version),
    };
    if out.exists() {
        return Err(usage(format!("{} is there already", out.display()))
            .hint("a release does not change: count up `revision` in ffmpeg-src/sources.toml, or remove the folder")
            .into());
    }
    let commit = release::commit(&workshop.root, flags.allow_dirty)?;
    let records = release::records(workshop, &names)?;
    let progress = Progress::new();
    let fetcher = workshop.fetcher(&flags.origins);

    let mut files = Files::new();
    for record in &records {
        let folder = workshop.root.join("artifacts");
        for name in record.files.keys() {
            files.insert(name.clone(), release::read(&folder.join(name))?);
        }
        let record_file = format!("{}.json", record.variant);
        files.insert(record_file.clone(), release::read(&folder.join(record_file))?);
        let statement = provenance::statement(record, &workshop.pins, &commit, &version);
        files.insert(
            format!("{}.provenance.json", record.variant),
            release::json(&statement)?,
        );
    }
    let work = progress.start("sources and licences");
    let used: BTreeSet<&String> = records.iter().flat_map(|record| record.sources.keys()).collect();
    let mut trees = BTreeMap::new();
    for name in used {
        trees.insert(name.clone(), fetcher.tree(name, workshop.pins.source(name)?)?);
    }
    files.extend(release::licences(workshop, &trees)?);
    let top = format!("afmpeg-{version}");
    let source = bundle::source(workshop, &fetcher, &commit, &trees, &top)?;
    files.insert(format!("{top}-source.tar.gz"), source);
    work.finish("done", None);
    let bill = sbom::document(&workshop.root, &records, &workshop.pins, &version)?;
    files.insert("sbom.cdx.json".to_owned(), release::json(&bill)?);

    let sums = release::sums(&files).into_bytes();
    match &flags.secret_key {
        Some(key) => {
            let signature = sign::sign(key, &sums, &afmpeg_release::trusted_comment(&version))?;
            files.insert(afmpeg_release::SIGNATURE.to_owned(), signature);
        }
        None => eprintln!(
            "warning: not signed, so that nobody can pull it; give --secret-key FILE, or sign it later: \
             minisign -Sm SHA256SUMS -t '{}'",
            afmpeg_release::trusted_comment(&version)
        ),
    }
    files.insert(afmpeg_release::SUMS.to_owned(), sums);

    // Everything is there or nothing is.
    let parent = out.parent().context("a release folder lies in another folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let scratch = tempfile::TempDir::new_in(parent)?;
    let made = scratch.path().join("made");
    for (name, data) in &files {
        write_file(&made.join(name), data)?;
    }
    process::sync_disk();
    fs::rename(&made, &out).with_context(|| format!("cannot put {} in place", out.display()))?;
    println!("{}  {} modules, {} files", out.display(), records.len(), files.len());
    Ok(())
}
