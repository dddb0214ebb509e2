//! `cargo xtask package`: packages of a release's modules for npm and PyPI, each one file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::json;

use crate::build::record::Record;
use crate::cache::write_file;
use crate::digest;
use crate::dist::pack::{self, Entry};
use crate::dist::{self, Folder};
use crate::error::usage;
use crate::flags::{Package, PackageKind};
use crate::project::Project;

/// What the npm package runs modules with.
const WASI_SHIM: (&str, &str) = ("@bjorn3/browser_wasi_shim", "0.4.2");

type Entries = BTreeMap<String, Entry>;

pub fn run(project: &Project, flags: &Package) -> Result<()> {
    let folder = Folder::open(&flags.release)?;
    let records = folder.records()?;
    if let Some(unknown) = flags
        .profile
        .iter()
        .find(|name| records.iter().all(|record| record.variant != **name))
    {
        let names: Vec<&str> = records.iter().map(|record| record.variant.as_str()).collect();
        return Err(usage(format!("the release has no {unknown}; it has: {}", names.join(", "))).into());
    }
    for record in &records {
        if !flags.profile.is_empty() && !flags.profile.contains(&record.variant) {
            continue;
        }
        let (name, data) = match flags.kind {
            PackageKind::Npm => npm(project, &folder, record)?,
            PackageKind::Wheel => wheel(project, &folder, record)?,
        };
        let path = flags.out.join(name);
        write_file(&path, &data)?;
        println!("{}  {} bytes", path.display(), data.len());
    }
    Ok(())
}

/// The licences of what is in a module, and the notice that explains them.
fn notices(folder: &Folder, record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let mut others = BTreeSet::new();
    for other in folder.records()? {
        others.extend(
            other
                .sources
                .into_keys()
                .filter(|name| !record.sources.contains_key(name)),
        );
    }
    // What belongs to no source is of the SDK, and in every module.
    let is_other = |name: &str| {
        let rest = name.strip_prefix("LICENSE-").unwrap_or_default();
        others.iter().any(|source| rest.starts_with(&format!("{source}-")))
    };
    let names = folder.names()?;
    names
        .into_iter()
        .filter(|name| (name == "NOTICE.md" || name.starts_with("LICENSE-")) && !is_other(name))
        .map(|name| Ok((name.clone(), folder.file(&name)?)))
        .collect()
}

/// A text of packages/, with what differs between modules filled in.
fn text(project: &Project, file: &str, record: &Record, name: &str) -> Result<Vec<u8>> {
    let template = String::from_utf8(dist::read(&project.root.join("packages").join(file))?)?;
    Ok(template
        .replace("@NAME@", name)
        .replace("@PACKAGE@", &name.replace('-', "_"))
        .replace("@FFMPEG@", &record.ffmpeg_version)
        .replace("@DESCRIPTION@", &record.description)
        .replace("@LICENSE@", &record.license)
        .into_bytes())
}

fn npm(project: &Project, folder: &Folder, record: &Record) -> Result<(String, Vec<u8>)> {
    let name = format!("afmpeg-{}", record.variant);
    let (shim, shim_version) = WASI_SHIM;
    let manifest = json!({
        "dependencies": { shim: shim_version },
        "description": format!("FFmpeg {} in WebAssembly: {}", record.ffmpeg_version, record.description),
        "engines": { "node": ">=20" },
        "exports": { ".": { "types": "./index.d.ts", "default": "./index.js" }, "./module.wasm.gz": "./module.wasm.gz" },
        "license": record.license,
        "name": name,
        "type": "module",
        "types": "./index.d.ts",
        "version": folder.version,
    });
    let mut files = vec![
        ("package.json".to_owned(), dist::json(&manifest)?),
        (
            "module.wasm.gz".to_owned(),
            folder.file(&format!("{}.wasm.gz", record.variant))?,
        ),
    ];
    for file in ["index.js", "index.d.ts", "README.md"] {
        files.push((file.to_owned(), text(project, &format!("npm/{file}"), record, &name)?));
    }
    files.extend(notices(folder, record)?);
    let entries: Entries = files
        .into_iter()
        .map(|(file, data)| (format!("package/{file}"), Entry::file(data)))
        .collect();
    Ok((format!("{name}-{}.tgz", folder.version), pack::tar_gz(&entries)?))
}

fn wheel(project: &Project, folder: &Folder, record: &Record) -> Result<(String, Vec<u8>)> {
    let name = format!("afmpeg-{}", record.variant);
    let package = name.replace('-', "_");
    // What Python calls the first release after an upstream one.
    let version = folder.version.replacen('-', ".post", 1);
    let wasmtime = &project.pins.source("wasmtime")?.version;
    let (major, _) = wasmtime.split_once('.').context("wasmtime has a version of parts")?;
    let next: u32 = major.parse::<u32>()? + 1;
    let info = format!("{package}-{version}.dist-info");
    let readme = String::from_utf8(text(project, "python/README.md", record, &name)?)?;
    let notices = notices(folder, record)?;
    let licence_files: String = notices
        .iter()
        .map(|(file, _)| format!("License-File: {file}\n"))
        .collect();
    let metadata = format!(
        "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\
         Summary: FFmpeg {} in WebAssembly: {}\nLicense-Expression: {}\n{licence_files}Requires-Python: >=3.9\n\
         Requires-Dist: wasmtime>={wasmtime},<{next}\nDescription-Content-Type: text/markdown\n\n{readme}",
        record.ffmpeg_version, record.description, record.license
    );
    let tags = "Wheel-Version: 1.0\nGenerator: cargo-xtask-package\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut entries: Entries = [
        (
            format!("{package}/__init__.py"),
            Entry::file(text(project, "python/__init__.py", record, &name)?),
        ),
        (format!("{package}/py.typed"), Entry::file("")),
        (
            format!("{package}/module.wasm.gz"),
            Entry::file(folder.file(&format!("{}.wasm.gz", record.variant))?),
        ),
        (format!("{info}/METADATA"), Entry::file(metadata)),
        (format!("{info}/WHEEL"), Entry::file(tags)),
    ]
    .into();
    for (file, data) in notices {
        entries.insert(format!("{info}/licenses/{file}"), Entry::file(data));
    }
    let mut listing = String::new();
    for (file, entry) in &entries {
        let digest = digest::base64_url(&entry.data);
        listing += &format!("{file},sha256={digest},{}\n", entry.data.len());
    }
    listing += &format!("{info}/RECORD,,\n");
    entries.insert(format!("{info}/RECORD"), Entry::file(listing));
    Ok((format!("{package}-{version}-py3-none-any.whl"), pack::zip(&entries)?))
}
