//! npm, PyPI and crates.io through their own clients, as the user has them set up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::inputs::python_packages;
use crate::process::Invocation;

pub fn npm(package: &str, version: &str, scratch: &Path) -> Result<PathBuf> {
    Invocation::new("npm", scratch)
        .arguments([
            "pack",
            "--loglevel=error",
            "--ignore-scripts",
            &format!("{package}@{version}"),
        ])
        .inherit_environment()
        .output()?;
    only_file(scratch)
}

/// pip runs a program out of an archive of sources, so it is told the digest, where there is one, and compares it first.
pub fn pypi(package: &str, version: &str, is_sdist: bool, digest: Option<&str>, scratch: &Path) -> Result<PathBuf> {
    let hash = digest
        .map(|digest| format!(" --hash=sha256:{digest}"))
        .unwrap_or_default();
    fs::write(
        scratch.join("requirements.txt"),
        format!("{package}=={version}{hash}\n"),
    )?;
    let kind = match is_sdist {
        true => "--no-binary=:all:",
        false => "--no-binary=:none:",
    };
    python_packages::pip(scratch)
        .arguments(["download", "--quiet", "--disable-pip-version-check", "--no-deps", kind])
        .arguments(digest.map(|_| "--require-hashes"))
        .arguments(["--requirement", "requirements.txt", "--dest", "got"])
        .output()
        .map_err(python_packages::without_pip)?;
    only_file(&scratch.join("got"))
}

/// cargo has no verb for downloading a crate, but it fetches the dependencies of a package, and their archives stay in
/// its own cache.
pub fn cargo(name: &str, version: &str, scratch: &Path) -> Result<PathBuf> {
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{name} = \"={version}\"\n[workspace]\n"
    );
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    fs::write(scratch.join("lib.rs"), "")?;
    let metadata = Invocation::new("cargo", scratch)
        .arguments(["metadata", "--format-version", "1"])
        .inherit_environment()
        .output()?;
    let metadata = MetadataCommand::parse(metadata).context("cargo metadata")?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == name && package.version.to_string() == version)
        .with_context(|| format!("cargo metadata has no {name} {version}"))?;
    // Unpacked crates lie in registry/src/<index>/<name>-<version>, their archives in registry/cache/<index>/.
    let folder = package.manifest_path.parent().context("a manifest has a folder")?;
    let index = folder.parent().context("an unpacked crate has an index")?;
    let registry = index
        .parent()
        .and_then(|folder| folder.parent())
        .context("an index has a registry")?;
    let index_name = index.file_name().context("an index has a name")?;
    let archive = registry
        .join("cache")
        .join(index_name)
        .join(format!("{name}-{version}.crate"));
    anyhow::ensure!(archive.is_file(), "cargo left no {archive}");
    Ok(archive.into())
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next().context("the client left no file")?;
    Ok(entry?.path())
}
