//! The wheels for PyPI: the library, compiled for this machine, and one with each module.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::build::record::Record;
use crate::digest;
use crate::dist;
use crate::dist::archive::{self, Entry};
use crate::dist::crates;
use crate::dist::folder::Folder;
use crate::dist::package::{Package, notices, text};
use crate::inputs::fetch::Fetcher;
use crate::process::Invocation;
use crate::project::Project;

type Entries = BTreeMap<String, Entry>;

/// The library's name, which those of packages with modules begin with.
const LIBRARY: &str = "afmpeg";

/// The folder that all packages of modules put theirs into, and where the library finds them.
const MODULES: &str = "afmpeg_modules";

/// Where the library has the command.
const COMMAND: &str = "afmpeg/bin/afmpeg";

/// What the licences of other crates are called in the library's wheel.
const LICENCES: &str = "LICENSES-crates.txt";

/// A version as Python writes it: the first release after an upstream one.
fn python_version(version: &str) -> String {
    version.replacen('-', ".post", 1)
}

/// The library and the command, compiled for this machine.
pub fn library(project: &Project, fetcher: &Fetcher, version: &str) -> Result<Package> {
    let maturin = fetcher
        .tree("maturin", project.pins.source("maturin")?)?
        .join("maturin");
    let scratch = project.cache.scratch()?;
    let build = Build::new(project, fetcher.is_offline())?;
    // Both in one call, so that what they depend on is compiled once.
    let packages = "--package afmpeg-python --package afmpeg --features afmpeg/command,afmpeg-python/command";
    let arguments = "build --release --locked".split(' ').chain(packages.split(' '));
    build.run("cargo", &arguments.collect::<Vec<_>>())?;
    let command = dist::read(&build.target.join("release/afmpeg"))?;
    let command = build.stripped(&command, scratch.path())?;
    let out = scratch.path().join("wheel");
    let arguments = "build --release --locked --features command --manifest-path packages/python/Cargo.toml --out";
    let [maturin, place] = [&maturin, &out].map(|path| path.to_str().context("the cache's path is no text"));
    build.run(maturin?, &arguments.split(' ').chain([place?]).collect::<Vec<_>>())?;
    let wheel = std::fs::read_dir(&out)?.next().context("maturin left no wheel")??;
    let licences = crates::licences(&project.root, "afmpeg-python", "command", fetcher.is_offline())?;
    repacked(&wheel.path(), command, licences, &python_version(version))
}

/// How this machine's Rust compiles for others: without the paths of this one.
struct Build<'a> {
    project: &'a Project,
    target: PathBuf,
    flags: String,
    offline: bool,
}

impl Build<'_> {
    fn new(project: &Project, offline: bool) -> Result<Build<'_>> {
        let root = &project.root;
        let base = match std::env::var("CARGO_TARGET_DIR") {
            Ok(folder) => root.join(folder),
            Err(_) => root.join("target"),
        };
        let home = std::env::var("HOME").unwrap_or_default();
        let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
        // Where the sources lie is in nothing that is compiled: cargo names them from the workspace's root, and what debuggers read
        // is taken away. As a flag it would have each checkout compile all dependencies anew.
        let flags = [(base.display().to_string(), "target"), (cargo, "cargo")];
        let flags = flags.map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
        Ok(Build {
            project,
            target: base.join("wheel"),
            flags: flags.join("\u{1f}"),
            offline,
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut invocation = Invocation::new(program, &self.project.root)
            .arguments(arguments.iter().copied())
            .inherit_environment();
        if self.offline {
            invocation.arguments.push("--offline".to_owned());
        }
        // What builds need for their own sake is not for cargo.
        invocation.environment.remove("SOURCE_DATE_EPOCH");
        invocation.environment.remove("RUSTFLAGS");
        for (name, value) in [
            ("CARGO_ENCODED_RUSTFLAGS", self.flags.clone()),
            ("CARGO_TARGET_DIR", self.target.display().to_string()),
        ] {
            invocation.environment.insert(name.to_owned(), value);
        }
        if !invocation.interactive()? {
            bail!("`{}` failed", invocation.pasteable());
        }
        Ok(())
    }

    /// A program without what debuggers read.
    fn stripped(&self, program: &[u8], scratch: &Path) -> Result<Vec<u8>> {
        let path = scratch.join("stripped");
        crate::cache::write_file(&path, program)?;
        Invocation::new("strip", scratch).arguments(["stripped"]).output()?;
        dist::read(&path)
    }
}

/// maturin's wheel with the command in it, under the release's version.
fn repacked(wheel: &Path, command: Vec<u8>, licences: String, version: &str) -> Result<Package> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let parts: Vec<&str> = name.strip_suffix(".whl").unwrap_or(&name).splitn(3, '-').collect();
    let [library, old_version, tags] = parts[..] else {
        bail!("maturin's wheel is called {name}");
    };
    let tags = with_baseline(tags, newest_glibc(&command));
    let old_info = format!("{library}-{old_version}.dist-info/");
    let info = format!("{library}-{version}.dist-info");
    let mut entries = Entries::new();
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let mut data = Vec::new();
        file.read_to_end(&mut data)?;
        let path = file.name()?.into_owned();
        let path = match path.strip_prefix(&old_info) {
            Some("RECORD") => continue,
            Some("METADATA") => {
                let old = format!("\nVersion: {old_version}\n");
                let metadata = String::from_utf8(data)?;
                ensure!(metadata.contains(&old), "maturin's wheel does not say its version");
                data = metadata
                    .replacen(&old, &format!("\nVersion: {version}\n"), 1)
                    .into_bytes();
                format!("{info}/METADATA")
            }
            Some("WHEEL") => {
                data = wheel_file(&tags, false).into_bytes();
                format!("{info}/WHEEL")
            }
            Some(rest) => format!("{info}/{rest}"),
            None => path,
        };
        entries.insert(path, Entry::file(data));
    }
    entries.insert(
        COMMAND.to_owned(),
        Entry {
            data: command,
            is_program: true,
        },
    );
    entries.insert(format!("{info}/licenses/{LICENCES}"), Entry::file(licences));
    finish(library, version, &tags, entries)
}

/// What says of a wheel where it can be installed.
fn wheel_file(tags: &str, is_pure: bool) -> String {
    let mut text = format!(
        "Wheel-Version: 1.0\nGenerator: cargo-xtask-package\nRoot-Is-Purelib: {}\n",
        if is_pure { "true" } else { "false" }
    );
    if let [python, abi, platforms] = tags.splitn(3, '-').collect::<Vec<_>>()[..] {
        for platform in platforms.split('.') {
            text += &format!("Tag: {python}-{abi}-{platform}\n");
        }
    }
    text
}

/// The newest glibc that a program asks for, as its second number; 0 if it asks for none.
fn newest_glibc(program: &[u8]) -> u32 {
    const MARK: &[u8] = b"GLIBC_2.";
    let places = memchr::memmem::find_iter(program, MARK);
    let number = |at: usize| {
        let digits = program[at + MARK.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number: u32, digit| {
            number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
        })
    };
    places.map(number).max().unwrap_or(0)
}

/// The tags that hold for the command as well, which maturin has not seen.
fn with_baseline(tags: &str, glibc: u32) -> String {
    const NAME: &str = "manylinux_2_";
    let Some((before, rest)) = tags.split_once(NAME) else {
        return tags.to_owned();
    };
    let platform = rest.split('.').next().unwrap_or(rest);
    match platform.split_once('_') {
        Some((minor, machine)) if minor.parse().is_ok_and(|minor: u32| minor < glibc) => {
            format!("{before}{NAME}{glibc}_{machine}")
        }
        _ => tags.to_owned(),
    }
}

/// A package with a module, which the library finds in a folder that all of them share.
pub fn module(project: &Project, folder: &Folder, record: &Record) -> Result<Package> {
    let name = format!("{LIBRARY}-{}", record.variant);
    let package = name.replace('-', "_");
    let version = python_version(&folder.version);
    let info = format!("{package}-{version}.dist-info");
    let notices = notices(folder, record)?;
    let files = notices.iter().map(|(file, _)| file.as_str());
    let metadata = metadata(project, record, &name, &version, files)?;
    let tags = "py3-none-any";
    let module = format!("{}.wasm.br", record.variant);
    let mut entries: Entries = [
        (format!("{MODULES}/{module}"), Entry::file(folder.file(&module)?)),
        (format!("{info}/METADATA"), Entry::file(metadata)),
        (format!("{info}/WHEEL"), Entry::file(wheel_file(tags, true))),
    ]
    .into();
    for (file, data) in notices {
        entries.insert(format!("{info}/licenses/{file}"), Entry::file(data));
    }
    finish(&package, &version, tags, entries)
}

/// What a module's wheel says of itself. The library comes with it, of the same release.
fn metadata<'a>(
    project: &Project,
    record: &Record,
    name: &str,
    version: &str,
    licence_files: impl Iterator<Item = &'a str>,
) -> Result<String> {
    let licence_files: String = licence_files.map(|file| format!("License-File: {file}\n")).collect();
    let readme = String::from_utf8(text(project, "python/module/README.md", record, name)?)?;
    Ok(format!(
        "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\
         Summary: FFmpeg {} in WebAssembly, for afmpeg: {}\nLicense-Expression: {}\n{licence_files}\
         Requires-Python: >=3.11\nRequires-Dist: {LIBRARY}=={version}\nDescription-Content-Type: text/markdown\n\n{readme}",
        record.ffmpeg_version, record.description, record.license
    ))
}

/// Adds the list of all files with their digests.
fn finish(package: &str, version: &str, tags: &str, mut entries: Entries) -> Result<Package> {
    let info = format!("{package}-{version}.dist-info");
    let mut listing = String::new();
    for (file, entry) in &entries {
        let digest = digest::base64_url(&entry.data);
        listing += &format!("{file},sha256={digest},{}\n", entry.data.len());
    }
    listing += &format!("{info}/RECORD,,\n");
    entries.insert(format!("{info}/RECORD"), Entry::file(listing));
    Ok((format!("{package}-{version}-{tags}.whl"), archive::zip(&entries)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_asks_for_the_glibc_of_its_command_too() {
        let program = b"..GLIBC_2.2.5..GLIBC_2.17\0GLIBC_2.34\0";
        assert_eq!(newest_glibc(program), 34);
        assert_eq!(newest_glibc(b"nothing"), 0);
        let tags = "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64";
        assert_eq!(with_baseline(tags, 17), tags);
        assert_eq!(with_baseline(tags, 34), "cp311-abi3-manylinux_2_34_x86_64");
        assert_eq!(with_baseline("cp311-abi3-win_amd64", 0), "cp311-abi3-win_amd64");
    }

    #[test]
    fn a_wheel_says_each_of_its_tags() {
        let text = wheel_file("cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", false);
        assert!(text.ends_with(
            "Root-Is-Purelib: false\nTag: cp311-abi3-manylinux_2_17_x86_64\nTag: cp311-abi3-manylinux2014_x86_64\n"
        ));
        assert!(wheel_file("py3-none-any", true).ends_with("true\nTag: py3-none-any\n"));
    }
}
