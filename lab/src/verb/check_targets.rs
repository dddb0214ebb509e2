//! `cargo xtask check-targets`: the crates that services use, checked for systems that this machine is not.
//!
//! rustup has a standard library for each of them, but not where only package registries answer. So the standard
//! library is checked from its source first, which is quick since no code is made of it, and what comes out of that
//! stands in for it. Nothing is linked, so C that dependencies bring is not compiled.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use xtask::digest::Key;
use xtask::flags::Origins;
use xtask::inputs::source::Source;
use xtask::process::Invocation;
use xtask::project::Project;

const TARGETS: [&str; 4] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-gnu",
];

const SOURCE: &str = "rust-src";

/// What is checked: the command and the package for Python with all that they are made of, and the library alone.
const SCOPES: [&[&str]; 2] = [
    &[
        "--package",
        "afmpeg",
        "--package",
        "afmpeg-release",
        "--package",
        "afmpeg-python",
        "--features",
        "afmpeg/command",
    ],
    &["--package", "afmpeg"],
];

pub fn run(project: &Project, origins: &Origins) -> Result<()> {
    let source = project.pins.source(SOURCE)?;
    let compiler = compiler(project, source)?;
    let library = project.fetcher(origins).tree(SOURCE, source)?;
    let mut failed = Vec::new();
    for target in TARGETS {
        let key = Key::new("checked standard library")
            .field(&compiler)
            .field(library.file_name().unwrap_or_default().as_encoded_bytes())
            .field(target);
        let (sysroot, _) = project.cache.folder("trees", &key.finish(), |made| {
            check_library(project, &library, target, made)
        })?;
        for scope in SCOPES {
            let mut check = cargo(&project.root, target).arguments(scope.iter().copied());
            let flags = format!("--sysroot\x1f{}", sysroot.display());
            check.environment.insert("CARGO_ENCODED_RUSTFLAGS".to_owned(), flags);
            if !check.interactive()? {
                failed.push(target);
            }
        }
    }
    failed.dedup();
    if !failed.is_empty() {
        bail!("the crates do not compile for {}", failed.join(", "));
    }
    Ok(())
}

/// What the compiler says of itself, if it is the one whose library is pinned.
fn compiler(project: &Project, source: &Source) -> Result<String> {
    let compiler = Invocation::new("rustc", &project.root)
        .arguments(["--version", "--verbose"])
        .inherit_environment()
        .output()?;
    ensure!(
        compiler.contains(&format!("release: {}\n", source.version)),
        "source.{SOURCE} of ffmpeg-src/tests.toml is of Rust {}, and the compiler is\n{compiler}",
        source.version
    );
    Ok(compiler)
}

/// `cargo check` for a target, without a C compiler for it: nothing that one makes would be read.
fn cargo(folder: &Path, target: &str) -> Invocation {
    let mut check = Invocation::new("cargo", folder)
        .arguments(["check", "--quiet", "--target", target])
        .inherit_environment();
    check.environment.remove("SOURCE_DATE_EPOCH");
    check.environment.remove("RUSTFLAGS");
    for tool in ["CC", "CXX", "AR"] {
        let variable = format!("{tool}_{}", target.replace('-', "_"));
        check.environment.insert(variable, "true".to_owned());
    }
    check
}

/// Makes a sysroot in which the standard library has been checked for a target.
fn check_library(project: &Project, library: &Path, target: &str, made: &Path) -> Result<()> {
    let scratch = project.cache.scratch()?;
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let path = |name: &str| quoted(&library.join(name));
    let manifest = format!(
        "[package]\nname = \"sysroot\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n\
         [dependencies]\nstd = {{ path = {}, features = [\"panic-unwind\", \"backtrace\"] }}\n\
         [patch.crates-io]\nrustc-std-workspace-core = {{ path = {} }}\n\
         rustc-std-workspace-alloc = {{ path = {} }}\nrustc-std-workspace-std = {{ path = {} }}\n",
        path("std"),
        path("rustc-std-workspace-core"),
        path("rustc-std-workspace-alloc"),
        path("rustc-std-workspace-std"),
    );
    fs::write(scratch.path().join("Cargo.toml"), manifest)?;
    fs::write(scratch.path().join("lib.rs"), "#![feature(no_core)]\n#![no_core]\n")?;
    fs::copy(library.join("Cargo.lock"), scratch.path().join("Cargo.lock"))?;

    let output = scratch.path().join("target");
    let mut check = cargo(scratch.path(), target);
    check.arguments.push("--release".to_owned());
    let vendor = library.join("vendor");
    if vendor.is_dir() {
        for setting in [
            "source.crates-io.replace-with=\"vendor\"".to_owned(),
            format!("source.vendor.directory={}", quoted(&vendor)),
        ] {
            check.arguments.extend(["--config".to_owned(), setting]);
        }
    }
    for (name, value) in [
        ("RUSTC_BOOTSTRAP", "1"),
        ("CARGO_ENCODED_RUSTFLAGS", "-Zforce-unstable-if-unmarked"),
        ("CARGO_TARGET_DIR", &output.display().to_string()),
    ] {
        check.environment.insert(name.to_owned(), value.to_owned());
    }
    ensure!(
        check.interactive()?,
        "the standard library cannot be checked for {target}"
    );
    let into: PathBuf = made.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(&into)?;
    let from = output.join(target).join("release/deps");
    for entry in fs::read_dir(&from).with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rmeta") {
            fs::copy(&path, into.join(path.file_name().context("a file has a name")?))?;
        }
    }
    Ok(())
}
