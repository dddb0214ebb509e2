//! `cargo xtask dist`: a folder with everything that a release is, to be signed, served and verified.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use crate::cache::write_file;
use crate::dist::{self, Files, bundle, provenance, sbom, sign};
use crate::error::usage;
use crate::flags::Dist;
use crate::process;
use crate::progress::Progress;
use crate::project::Project;
use crate::recipe::profile;

pub fn run(project: &Project, flags: &Dist) -> Result<()> {
    let version = project.pins.release_version()?;
    let names = project.profiles(&flags.profiles)?;
    let shipped = profile::shipped(&project.root)?;
    if let Some(other) = names.iter().find(|name| !shipped.contains(name)) {
        return Err(usage(format!("{other} is not among the profiles that are shipped"))
            .hint("profiles/shipped.toml lists them, with their budgets")
            .into());
    }
    let out = match &flags.out {
        Some(folder) => std::path::absolute(folder)?,
        None => project.root.join("dist").join(&version),
    };
    if out.exists() {
        return Err(usage(format!("{} is there already", out.display()))
            .hint("a release does not change: count up `revision` in ffmpeg-src/ffmpeg.toml, or remove the folder")
            .into());
    }
    let commit = dist::commit(&project.root, flags.allow_dirty)?;
    let records = dist::records(project, &names)?;
    let progress = Progress::new();
    let fetcher = project.fetcher(&flags.origins);

    let mut files = Files::new();
    for record in &records {
        let folder = project.root.join("artifacts");
        for name in record.files.keys() {
            files.insert(name.clone(), dist::read(&folder.join(name))?);
        }
        let record_file = format!("{}.json", record.variant);
        files.insert(record_file.clone(), dist::read(&folder.join(record_file))?);
        let statement = provenance::statement(record, &project.pins, &commit, &version);
        files.insert(format!("{}.provenance.json", record.variant), dist::json(&statement)?);
    }
    let work = progress.start("sources and licences");
    let used: BTreeSet<&String> = records.iter().flat_map(|record| record.sources.keys()).collect();
    let mut trees = BTreeMap::new();
    for name in used {
        trees.insert(name.clone(), fetcher.tree(name, project.pins.source(name)?)?);
    }
    files.extend(dist::licences(project, &trees)?);
    let top = format!("afmpeg-{version}");
    let source = bundle::source(project, &fetcher, &commit, &trees, &top)?;
    files.insert(format!("{top}-source.tar.gz"), source);
    work.finish("done", None);
    let bill = sbom::document(&project.root, &records, &project.pins, &version)?;
    files.insert("sbom.cdx.json".to_owned(), dist::json(&bill)?);

    let sums = dist::sums(&files).into_bytes();
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
