//! The SDK: a folder in wasi-sdk's layout. The user's own, else wasi-sdk's release, else the same layout put together from
//! Debian's clang and a sysroot from npm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use crate::cache::Cache;
use crate::digest::{self, Key};
use crate::error::environment;
use crate::inputs::fetch::Fetcher;
use crate::inputs::pins::Pins;
use crate::inputs::unpack;
use crate::process::{self, Invocation};

pub const SDK_VARIABLE: &str = "WASI_SDK_PATH";

/// What an SDK is, for keys and for the record.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Identity {
    pub kind: Kind,
    pub clang: String,
    /// Digests of what it is made of.
    pub inputs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Given,
    WasiSdk,
    Registries,
}

#[derive(Debug, Clone)]
pub struct Sdk {
    pub path: PathBuf,
    pub identity: Identity,
}

impl Identity {
    pub fn digest(&self) -> String {
        let mut key = Key::new("sdk").field(&self.clang);
        for (name, digest) in &self.inputs {
            key = key.field(name).field(digest);
        }
        key.finish()
    }
}

const TARGET: &str = "wasm32-wasip1";

/// The programs that a build calls.
const PROGRAMS: [&str; 6] = ["clang", "clang++", "llvm-ar", "llvm-nm", "llvm-ranlib", "wasm-ld"];

/// Finds the SDK, fetching it where needed.
pub fn locate(cache: &Cache, pins: &Pins, fetcher: &Fetcher, host: &str) -> Result<Sdk> {
    if let Some(path) = std::env::var_os(SDK_VARIABLE) {
        return given(&std::path::absolute(path)?);
    }
    // What is unpacked already is taken first: asking a dead origin again would cost each build seconds.
    let release = release_inputs(pins, host);
    let registries = registries_inputs(pins, host)?;
    for (kind, inputs) in [
        (Kind::WasiSdk, release.as_ref()),
        (Kind::Registries, registries.as_ref()),
    ] {
        let Some(inputs) = inputs else { continue };
        let path = cache.path("sdk", &key(kind, inputs));
        if path.is_dir() {
            return describe(path, kind, inputs.clone());
        }
    }
    let release_error = match &release {
        None => anyhow!("wasi-sdk has no release for {host}"),
        Some(inputs) => match unpack_release(cache, pins, fetcher, inputs) {
            Ok(path) => return describe(path, Kind::WasiSdk, inputs.clone()),
            Err(error) => error,
        },
    };
    let Some(inputs) = registries else {
        return Err(release_error.context(
            environment(format!("no SDK for {host}"))
                .hint(format!("unpack wasi-sdk and set {SDK_VARIABLE} to its folder")),
        ));
    };
    eprintln!("wasi-sdk's release is out of reach; putting the same layout together from Debian and npm packages");
    match assemble(cache, pins, fetcher, host, &inputs) {
        Ok(path) => describe(path, Kind::Registries, inputs),
        Err(error) => Err(error.context(format!("wasi-sdk's release: {release_error:#}")).context(
            environment("no SDK could be had").hint(format!("unpack wasi-sdk and set {SDK_VARIABLE} to its folder")),
        )),
    }
}

fn describe(path: PathBuf, kind: Kind, inputs: BTreeMap<String, String>) -> Result<Sdk> {
    check_layout(&path)?;
    let clang = fs::read_to_string(path.join("CLANG_VERSION")).context("the unpacked SDK has no CLANG_VERSION")?;
    Ok(Sdk {
        path,
        identity: Identity { kind, clang, inputs },
    })
}

fn check_layout(path: &Path) -> Result<()> {
    let programs = PROGRAMS.iter().map(|program| format!("bin/{program}"));
    for file in programs.chain([format!("share/wasi-sysroot/lib/{TARGET}/libc.a")]) {
        if !path.join(&file).is_file() {
            return Err(environment(format!(
                "{} is no SDK in wasi-sdk's layout: it has no {file}",
                path.display()
            ))
            .hint(format!("{SDK_VARIABLE} must be the folder of an unpacked wasi-sdk"))
            .into());
        }
    }
    Ok(())
}

fn clang_version(path: &Path) -> Result<String> {
    let clang = path.join("bin/clang").display().to_string();
    let text = Invocation::new(clang, path).arguments(["--version"]).output()?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn given(path: &Path) -> Result<Sdk> {
    check_layout(path)?;
    // All of it: programs, headers, libraries, and what the compiler brings of its own.
    let identity = Identity {
        kind: Kind::Given,
        clang: clang_version(path)?,
        inputs: [("sdk".to_owned(), digest::tree(path)?)].into(),
    };
    Ok(Sdk {
        path: path.to_owned(),
        identity,
    })
}

fn key(kind: Kind, inputs: &BTreeMap<String, String>) -> String {
    let mut key = Key::new("unpacked sdk")
        .field(format!("{kind:?}"))
        .field(LAYOUT_VERSION);
    for (name, digest) in inputs {
        key = key.field(name).field(digest);
    }
    key.finish()
}

/// Counts changes in how an SDK is put together from the same inputs.
const LAYOUT_VERSION: &str = "1";

fn release_inputs(pins: &Pins, host: &str) -> Option<BTreeMap<String, String>> {
    let source = pins.source.get("wasi-sdk")?;
    let origin = source.origins_for(host).next()?;
    let digest = source.container_sha256(origin)?;
    Some([(format!("wasi-sdk-{}", source.version), digest.to_owned())].into())
}

fn registries_inputs(pins: &Pins, host: &str) -> Result<Option<BTreeMap<String, String>>> {
    let sysroot = pins.source("wasi-sysroot")?;
    let packages = pins.sdk_package.iter().filter(|package| package.host == host);
    let mut inputs: BTreeMap<_, _> = packages
        .map(|package| (format!("{} {}", package.name, package.version), package.sha256.clone()))
        .collect();
    if inputs.is_empty() {
        return Ok(None);
    }
    let digest = sysroot.sha256.clone().context("source.wasi-sysroot needs a sha256")?;
    inputs.insert(format!("wasi-sysroot {}", sysroot.version), digest);
    Ok(Some(inputs))
}

fn unpack_release(cache: &Cache, pins: &Pins, fetcher: &Fetcher, inputs: &BTreeMap<String, String>) -> Result<PathBuf> {
    let (container, _) = fetcher.container("wasi-sdk", pins.source("wasi-sdk")?)?;
    let (path, _) = cache.folder("sdk", &key(Kind::WasiSdk, inputs), |made| {
        unpack::tree(&container, None, &[], made)?;
        fs::write(made.join("CLANG_VERSION"), clang_version(made)?)?;
        Ok(())
    })?;
    Ok(path)
}

/// Runs a program of the unpacked Debian packages with their libraries, wherever the SDK lies. No process is spent on it.
fn launcher(program: &str) -> String {
    format!(
        "#!/bin/sh\nhost=\"${{0%/*}}/../host/usr\"\n\
         LD_LIBRARY_PATH=\"$host/lib/x86_64-linux-gnu\" exec \"$host/lib/llvm-22/bin/{program}\" \"$@\"\n"
    )
}

fn assemble(
    cache: &Cache,
    pins: &Pins,
    fetcher: &Fetcher,
    host: &str,
    inputs: &BTreeMap<String, String>,
) -> Result<PathBuf> {
    let packages: Vec<PathBuf> = pins
        .sdk_package
        .iter()
        .filter(|package| package.host == host)
        .map(|package| fetcher.debian_package(package))
        .collect::<Result<_>>()?;
    let resources = fetcher
        .tree("wasi-sysroot", pins.source("wasi-sysroot")?)?
        .join("gen/llvm-resources.tar");
    let (path, _) = cache.folder("sdk", &key(Kind::Registries, inputs), |made| {
        let host_folder = made.join("host");
        fs::create_dir_all(&host_folder)?;
        for package in &packages {
            unpack::container(package, &host_folder)?;
        }
        let llvm = host_folder.join("usr/lib/llvm-22");
        // Debian's clang looks for its linker under a name with the version.
        std::os::unix::fs::symlink("lld", llvm.join("bin/wasm-ld-22"))?;
        fs::create_dir(made.join("bin"))?;
        for program in PROGRAMS {
            process::write_program(&made.join("bin").join(program), &launcher(program))?;
        }
        let scratch = tempfile::TempDir::new_in(made)?;
        unpack::container(&resources, scratch.path())?;
        let sysroot = made.join("share/wasi-sysroot");
        let runtime = llvm.join("lib/clang/22/lib");
        for (from, to) in [
            (format!("include/{TARGET}"), sysroot.join("include").join(TARGET)),
            ("include/c++".to_owned(), sysroot.join("include/c++")),
            (format!("lib/{TARGET}"), sysroot.join("lib").join(TARGET)),
            // compiler-rt is where clang looks for it: beside its own headers.
            (
                "lib/wasm32-unknown-wasip1".to_owned(),
                runtime.join("wasm32-unknown-wasip1"),
            ),
        ] {
            fs::create_dir_all(to.parent().context("a folder has a parent")?)?;
            fs::rename(scratch.path().join(&from), &to)
                .with_context(|| format!("the sysroot package has no {from}"))?;
        }
        fs::write(made.join("CLANG_VERSION"), clang_version(made)?)?;
        Ok(())
    })?;
    Ok(path)
}
