//! `cargo xtask test`: all checks, cheapest first.

use anyhow::{Result, bail};

use crate::conform::engines::Engine;
use crate::flags::{Build, Conform, Fate, Fuzz, FuzzKind, Profiles, Test};
use crate::guest_tests;
use crate::kernel_tests;
use crate::media;
use crate::process::Invocation;
use crate::workshop::Workshop;

/// The package that compares the runtime's WASI with another one.
const DIFFERENTIAL: &str = "afmpeg-differential";

pub fn run(workshop: &Workshop, flags: &Test) -> Result<()> {
    if flags.guest {
        guest_tests::run(workshop, &flags.origins)?;
        return kernel_tests::run(workshop, &flags.origins, &flags.profile);
    }
    let cargo = |arguments: &[&str], variables: &[(&str, String)]| -> Result<()> {
        let mut invocation = Invocation::new("cargo", &workshop.root)
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
    };
    cargo(&["fmt", "--all", "--check"], &[])?;
    // With or without what has the engine built with other features.
    let scopes: [&[&str]; 2] = [
        &["--workspace", "--exclude", DIFFERENTIAL],
        &["--package", DIFFERENTIAL],
    ];
    for scope in scopes {
        let lints = [
            &["clippy", "--quiet", "--all-targets"],
            scope,
            &["--", "-D", "warnings"],
        ]
        .concat();
        cargo(&lints, &[])?;
    }
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
    for (position, profile) in flags.profile.iter().enumerate() {
        let module = workshop.root.join("artifacts").join(format!("{profile}.wasm"));
        let mut variables = vec![
            ("AFMPEG_TEST_MODULE", module.display().to_string()),
            ("AFMPEG_TEST_VIDEO", video.display().to_string()),
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
        } else {
            cargo(&["test", "--package", "afmpeg", "--test", "media"], &variables)?;
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
