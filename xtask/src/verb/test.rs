//! `cargo xtask test`: all checks, cheapest first.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::conform::engines::Engine;
use crate::flags::{Build, Conform, Fate, Fuzz, FuzzKind, Profiles, Test};
use crate::guest_tests;
use crate::kernel_tests;
use crate::media;
use crate::process::Invocation;
use crate::workshop::Workshop;

/// The package that compares the runtime's WASI with another one.
const DIFFERENTIAL: &str = "afmpeg-differential";

/// The crates that could be published.
const PUBLISHED: [&str; 2] = ["afmpeg-release", "afmpeg"];

/// Everything that the runtime can be, and what is tested of the library by itself. The rest of the workspace is there in both so
/// that what they depend on is compiled once.
const ALL_FEATURES: &str = "afmpeg/command,afmpeg/tokio,afmpeg/tracing";
const LIBRARY: &[&str] = &["--workspace", "--exclude", DIFFERENTIAL];
const LIBRARY_TESTS: &[&str] = &["--lib", "--test", "jobs", "--test", "files", "--test", "cache"];

/// The one test beside those of tests/media that needs a module.
const MODULE_TEST: &str = "many";

pub fn run(workshop: &Workshop, flags: &Test) -> Result<()> {
    if flags.guest {
        guest_tests::run(workshop, &flags.origins)?;
        return kernel_tests::run(workshop, &flags.origins, &flags.profile);
    }
    let cargo = |arguments: &[&str], variables: &[(&str, String)]| cargo(&workshop.root, arguments, variables);
    cargo(&["fmt", "--all", "--check"], &[])?;
    // With or without what has the engine built with other features.
    let scopes: [&[&str]; 2] = [
        &["--workspace", "--exclude", DIFFERENTIAL, "--features", ALL_FEATURES],
        &["--package", DIFFERENTIAL],
    ];
    if flags.quick {
        return quick(workshop, scopes[0]);
    }
    for scope in [&scopes[..], &[LIBRARY]].concat() {
        let lints = [
            &["clippy", "--quiet", "--all-targets"],
            scope,
            &["--", "-D", "warnings"],
        ]
        .concat();
        cargo(&lints, &[])?;
    }
    super::check_targets::run(workshop, &flags.origins)?;
    package_crates(workshop)?;
    guest_tests::run(workshop, &flags.origins)?;
    kernel_tests::run(workshop, &flags.origins, &flags.profile)?;
    let build = Build {
        profiles: Profiles {
            profile: flags.profile.clone(),
            all: false,
        },
        origins: flags.origins.clone(),
        jobs: None,
        dry_run: false,
        until: None,
    };
    super::build::run(workshop, &build)?;
    let fetcher = workshop.fetcher(&flags.origins);
    let video = media::video(workshop, &fetcher)?;
    let folders = std::env::join_paths(media::folders(workshop, &fetcher)?)?;
    for (position, profile) in flags.profile.iter().enumerate() {
        let module = workshop.root.join("artifacts").join(format!("{profile}.wasm"));
        let mut variables = vec![
            ("AFMPEG_TEST_MODULE", module.display().to_string()),
            ("AFMPEG_TEST_VIDEO", video.display().to_string()),
            ("AFMPEG_TEST_MEDIA", folders.to_string_lossy().into_owned()),
        ];
        if let Some((name, source)) = workshop.test_registry() {
            let program = fetcher.tree(name, source)?.join("usr/bin/docker-registry");
            variables.push(("AFMPEG_TEST_REGISTRY", program.display().to_string()));
        }
        if let Some(folder) = workshop.test_nix(&fetcher)? {
            variables.push(("AFMPEG_TEST_NIX", folder.display().to_string()));
        }
        eprintln!("testing the module of {profile}");
        // What doesn't depend on the module is tested once.
        if position == 0 {
            for scope in scopes {
                cargo(&[&["test"], scope].concat(), &variables)?;
            }
            cargo(&[&["test"], LIBRARY, LIBRARY_TESTS].concat(), &variables)?;
        } else {
            cargo(&[&["test"], scopes[0], &["--test", "media"]].concat(), &variables)?;
        }
    }
    let fate = Fate {
        origins: flags.origins.clone(),
        profile: flags.profile.clone(),
        slice: true,
        ..Fate::default()
    };
    super::fate::run(workshop, &fate)?;
    for profile in &flags.profile {
        let conform = Conform {
            origins: flags.origins.clone(),
            profile: profile.clone(),
            // FFmpeg for this machine would first have to be compiled, for minutes.
            engine: vec![Engine::Node, Engine::Wasmtime],
            slice: true,
            ..Conform::default()
        };
        super::conform::run(workshop, &conform)?;
    }
    for (position, profile) in flags.profile.iter().enumerate() {
        let fuzz = Fuzz {
            origins: flags.origins.clone(),
            profile: profile.clone(),
            // Host calls don't depend on the module.
            only: (position > 0).then_some(FuzzKind::Media),
            quick: true,
            seed: 1,
            ..Fuzz::default()
        };
        super::fuzz::run(workshop, &fuzz)?;
    }
    Ok(())
}

/// What is done in a minute or two where dependencies are compiled.
fn quick(workshop: &Workshop, scope: &[&str]) -> Result<()> {
    let lints = [
        &["clippy", "--quiet", "--all-targets"],
        scope,
        &["--", "-D", "warnings"],
    ]
    .concat();
    cargo(&workshop.root, &lints, &[])?;
    let mut names = Vec::new();
    for folder in ["runtime/tests", "release/tests"] {
        let folder = workshop.root.join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".rs").map(str::to_owned));
        }
    }
    names.retain(|name| name != MODULE_TEST);
    names.sort();
    let tests = names.iter().flat_map(|name| ["--test", name]);
    let arguments: Vec<&str> = [&["test"], scope, &["--lib"]]
        .concat()
        .into_iter()
        .chain(tests)
        .collect();
    cargo(&workshop.root, &arguments, &[])
}

fn cargo(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Result<()> {
    let mut invocation = Invocation::new("cargo", folder)
        .arguments(arguments.iter().copied())
        .inherit_environment();
    // What builds need for their own sake is not for cargo.
    invocation.environment.remove("SOURCE_DATE_EPOCH");
    invocation.environment.extend(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    if !invocation.interactive()? {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Packages the crates that could be published, and compiles them from their packages. Cargo does not package crates that
/// depend on each other while they must not be published, so this is done in a copy in which they may.
fn package_crates(workshop: &Workshop) -> Result<()> {
    let copy = workshop.cache.scratch()?;
    // Without what lies there of builds.
    let files = Invocation::new("git", &workshop.root)
        .arguments(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"])
        .arguments([
            "Cargo.lock",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "release",
            "runtime",
            "rust-toolchain.toml",
            "xtask",
        ])
        .inherit_environment()
        .output()?;
    for name in files.split_terminator('\0') {
        let target = copy.path().join(name);
        fs::create_dir_all(target.parent().context("a file lies in a folder")?)?;
        // A link's file takes its place.
        fs::copy(workshop.root.join(name), &target).with_context(|| format!("cannot copy {name}"))?;
    }
    let manifest = fs::read_to_string(workshop.root.join("Cargo.toml"))?;
    let manifest = manifest.replace("publish = false", "publish = [\"crates-io\"]");
    fs::write(copy.path().join("Cargo.toml"), manifest)?;
    let mut packages = PUBLISHED.map(|name| ["--package", name]).concat();
    packages.insert(0, "package");
    packages.extend(["--quiet", "--allow-dirty"]);
    // The copy's own is gone afterwards.
    let target = match std::env::var("CARGO_TARGET_DIR") {
        Ok(folder) => workshop.root.join(folder),
        Err(_) => workshop.root.join("target"),
    };
    cargo(
        copy.path(),
        &packages,
        &[("CARGO_TARGET_DIR", target.display().to_string())],
    )
}
