//! The licences of the crates that a compiled package is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::process::Invocation;

/// What the names of files with licences and notices begin with, in capitals.
const BEGINNINGS: [&str; 5] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE"];

/// One text for all crates that are compiled into one of ours: who they are, and each licence's words once.
pub fn licences(root: &Path, package: &str, features: &str, offline: bool) -> Result<String> {
    let names = compiled(root, package, features, offline)?;
    let metadata = cargo(root, &["metadata", "--format-version", "1"], offline).output()?;
    let metadata = MetadataCommand::parse(metadata).context("cargo metadata")?;
    let mut listing = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut packages: Vec<_> = metadata.packages.iter().collect();
    packages.sort_by_key(|package| (package.name.to_string(), package.version.clone()));
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        // Those of this repository have the licence of the whole.
        if package.source.is_none() || !names.contains(&name) {
            continue;
        }
        let licence = package.license.as_deref().unwrap_or("see its text below");
        listing += &format!("{name}: {licence}\n");
        let folder = package.manifest_path.parent().context("a manifest has a folder")?;
        for text in texts_in(folder.as_std_path())? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    ensure!(!listing.is_empty(), "{package} is made of no other crates");
    let mut whole = format!("The crates that are compiled into this package, and their licences.\n\n{listing}");
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1).then(one.0.cmp(&other.0)));
    for (text, crates) in texts {
        whole += &format!("\n{}\n{}\n\n{text}\n", "-".repeat(80), crates.join(", "));
    }
    Ok(whole)
}

/// The crates that code is taken of, as names and versions.
fn compiled(root: &Path, package: &str, features: &str, offline: bool) -> Result<BTreeSet<String>> {
    let arguments = [
        "tree",
        "--package",
        package,
        "--features",
        features,
        "--edges",
        "normal",
    ];
    let form = ["--prefix", "none", "--format", "{p}"];
    let tree = cargo(root, &[&arguments[..], &form].concat(), offline).output()?;
    let name = |line: &str| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    Ok(tree.lines().filter_map(name).collect())
}

fn cargo(root: &Path, arguments: &[&str], offline: bool) -> Invocation {
    let mut invocation = Invocation::new("cargo", root)
        .arguments(arguments.iter().copied())
        .arguments(["--locked"])
        .inherit_environment();
    if offline {
        invocation.arguments.push("--offline".to_owned());
    }
    invocation
}

fn texts_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.path().is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            let text = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            texts.insert(String::from_utf8_lossy(&text).trim().replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}
