//! Cargo.lock as this tool was built with it: which code of others its results depend on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::digest::Key;

const LOCK: &str = include_str!("../../Cargo.lock");

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Name and version -> checksum, of all packages of a Cargo.lock that come from a registry.
pub fn registry_checksums(text: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: Lock = toml::from_str(text).context("Cargo.lock")?;
    let packages = lock.package.into_iter();
    Ok(packages
        .filter_map(|package| Some(((package.name, package.version), package.checksum?)))
        .collect())
}

/// What crates have by features that other parts of the workspace ask for, and nothing that makes a result calls: the comparison
/// of codes in constant time, and macros for tasks. Without this, modules would be built anew for a client of a queue.
const OF_OTHERS: [&str; 3] = ["cmov", "ctutils", "futures-macro"];

/// Package and version -> checksum, of these crates and all that they depend on.
pub fn checksums(crates: &[&str]) -> Result<BTreeMap<String, String>> {
    let lock: Lock = toml::from_str(LOCK).context("Cargo.lock")?;
    let mut wanted: Vec<String> = crates.iter().map(|&name| name.to_owned()).collect();
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    while let Some(next) = wanted.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        // A name alone, or with a version where there are several: all versions that fit are taken.
        let mut words = next.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        if OF_OTHERS.contains(&name) {
            continue;
        }
        let fits =
            |package: &&Package| package.name == name && version.is_none_or(|version| package.version == version);
        let packages: Vec<&Package> = lock.package.iter().filter(fits).collect();
        anyhow::ensure!(!packages.is_empty(), "Cargo.lock has no {next}");
        for package in packages {
            let checksum = package.checksum.clone().unwrap_or_default();
            found.insert(format!("{} {}", package.name, package.version), checksum);
            wanted.extend(package.dependencies.iter().cloned());
        }
    }
    Ok(found)
}

/// The digest of these crates and of all that they depend on.
pub fn digest(crates: &[&str]) -> Result<String> {
    let mut key = Key::new("crates");
    for (package, checksum) in checksums(crates)? {
        key = key.field(package).field(checksum);
    }
    Ok(key.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crate_depends_on_counts() {
        let brotli = checksums(&["brotli"]).unwrap();
        assert!(brotli.keys().any(|package| package.starts_with("brotli ")));
        assert!(brotli.keys().any(|package| package.starts_with("brotli-decompressor ")));
        assert!(brotli.values().all(|checksum| checksum.len() == 64));
        assert_ne!(digest(&["brotli"]).unwrap(), digest(&["wasmparser"]).unwrap());
        assert!(checksums(&["brotly"]).unwrap_err().to_string().contains("no brotly"));
    }
}
