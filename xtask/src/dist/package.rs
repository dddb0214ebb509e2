//! Packages of modules: the wheel for PyPI, and what it has in common with those for npm (`npm.rs`). Each is one file.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::build::record::Record;
use crate::digest;
use crate::dist::folder::Folder;
use crate::dist::pack::{self, Entry};
use crate::dist::{self, licences};
use crate::project::Project;

/// What the wheel runs modules with, as ffmpeg-src/tests.toml pins it.
const WHEEL_RUNTIME: &str = "wasmtime";

type Entries = BTreeMap<String, Entry>;

/// A package's file name and its bytes.
pub type Package = (String, Vec<u8>);

/// The licences of what is in a module, and the notice that explains them.
pub fn notices(folder: &Folder, record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let names = licences::of_module(folder.names()?, record, &folder.records()?);
    let read = |name: String| Ok((name.clone(), folder.file(&name)?));
    names.into_iter().map(read).collect()
}

/// A text of packages/, with what differs between modules filled in.
pub fn text(project: &Project, file: &str, record: &Record, name: &str) -> Result<Vec<u8>> {
    let template = String::from_utf8(dist::read(&project.root.join("packages").join(file))?)?;
    Ok(template
        .replace("@NAME@", name)
        .replace("@PACKAGE@", &name.replace('-', "_"))
        .replace("@FFMPEG@", &record.ffmpeg_version)
        .replace("@DESCRIPTION@", &record.description)
        .replace("@LICENSE@", &record.license)
        .into_bytes())
}

/// The wheel for PyPI.
pub fn wheel(project: &Project, folder: &Folder, record: &Record) -> Result<Package> {
    let name = format!("afmpeg-{}", record.variant);
    let package = name.replace('-', "_");
    // What Python calls the first release after an upstream one.
    let version = folder.version.replacen('-', ".post", 1);
    let info = format!("{package}-{version}.dist-info");
    let notices = notices(folder, record)?;
    let files = notices.iter().map(|(file, _)| file.as_str());
    let metadata = metadata(project, record, &name, &version, files)?;
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

/// What a wheel says of itself.
fn metadata<'a>(
    project: &Project,
    record: &Record,
    name: &str,
    version: &str,
    licence_files: impl Iterator<Item = &'a str>,
) -> Result<String> {
    let runtime = &project.pins.source(WHEEL_RUNTIME)?.version;
    let (major, _) = runtime.split_once('.').context("the runtime has a version of parts")?;
    let next: u32 = major.parse::<u32>()? + 1;
    let licence_files: String = licence_files.map(|file| format!("License-File: {file}\n")).collect();
    let readme = String::from_utf8(text(project, "python/README.md", record, name)?)?;
    Ok(format!(
        "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\
         Summary: FFmpeg {} in WebAssembly: {}\nLicense-Expression: {}\n{licence_files}Requires-Python: >=3.9\n\
         Requires-Dist: {WHEEL_RUNTIME}>={runtime},<{next}\nDescription-Content-Type: text/markdown\n\n{readme}",
        record.ffmpeg_version, record.description, record.license
    ))
}
