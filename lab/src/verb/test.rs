//! `cargo xtask test`: all checks, cheapest first.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::guest;
use crate::kernels;
use xtask::flags::{Build, Conform, Fate, Fuzz, FuzzKind, Profiles, Test, Tier};
use xtask::inputs::tests;
use xtask::pass_on::LAB_VARIABLE;
use xtask::process::{self, Invocation};
use xtask::project::Project;

/// The package that compares the runtime's WASI with another one.
const DIFFERENTIAL: &str = "afmpeg-differential";

/// The crates that could be published.
const PUBLISHED: [&str; 2] = ["afmpeg-release", "afmpeg"];

/// What is tested of the library by itself: without the crate that asks for all of its features. The rest of the workspace is
/// there so that what they depend on is compiled once.
const LIBRARY: &[&str] = &["--workspace", "--exclude", "lab", "--exclude", DIFFERENTIAL];
const LIBRARY_TESTS: &[&str] = &["--lib", "--test", "jobs", "--test", "files", "--test", "cache"];

/// The one test beside those of tests/media that needs a module.
const MODULE_TEST: &str = "many";
/// What looks at the sources alone.
const TIDY: &str = "tidy";
/// These make packs, which takes the SDK that modules are built with.
const PACK_TESTS: [&str; 3] = ["pack_command", "pack_signals", "packs"];
/// Has the others make none.
const WITHOUT_PACKS_VARIABLE: &str = "AFMPEG_TEST_WITHOUT_PACKS";

pub fn run(project: &Project, flags: &Test) -> Result<()> {
    let cargo = Cargo {
        root: &project.root,
        offline: flags.origins.offline,
    };
    match flags.tier {
        Tier::Quick => quick(project, &cargo),
        Tier::Guest => {
            guest::run(project, &flags.origins)?;
            kernels::run(project, &flags.origins, &flags.profile)
        }
        Tier::Full => {
            lint(&cargo)?;
            cargo.run(&[&["test"], SCOPES[0], &["--test", TIDY]].concat(), &[])?;
            super::check_targets::run(project, &flags.origins)?;
            package_crates(project, &cargo)?;
            guest::run(project, &flags.origins)?;
            kernels::run(project, &flags.origins, &flags.profile)?;
            build(project, flags)?;
            rust_tests(project, flags, &cargo)?;
            suites(project, flags)
        }
    }
}

/// The workspace, in which the runtime has all of its features, and what has the engine built with other features.
const SCOPES: [&[&str]; 2] = [
    &["--workspace", "--exclude", DIFFERENTIAL],
    &["--package", DIFFERENTIAL],
];

fn lint(cargo: &Cargo) -> Result<()> {
    cargo.run(&["fmt", "--all", "--check"], &[])?;
    for scope in [&SCOPES[..], &[LIBRARY]].concat() {
        cargo.clippy(scope)?;
    }
    Ok(())
}

fn build(project: &Project, flags: &Test) -> Result<()> {
    let build = Build {
        pack: Vec::new(),
        profiles: Profiles {
            profile: flags.profile.clone(),
            all: false,
        },
        origins: flags.origins.clone(),
        jobs: None,
        dry_run: false,
        until: None,
    };
    xtask::verb::build::run(project, &build)
}

/// Everything that `cargo test` runs, with modules and media.
fn rust_tests(project: &Project, flags: &Test, cargo: &Cargo) -> Result<()> {
    let fetcher = project.fetcher(&flags.origins);
    tests::link(project, &fetcher)?;
    let mut variables = vec![(LAB_VARIABLE, process::own_program()?.display().to_string())];
    // Else each test that needs packs asks cargo for what makes them.
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let xtask = own.with_file_name("xtask");
    if xtask.is_file() {
        variables.push(("AFMPEG_TEST_XTASK", xtask.display().to_string()));
    }
    if flags.origins.offline {
        variables.push(("AFMPEG_TEST_OFFLINE", "1".to_owned()));
    }
    for (position, profile) in flags.profile.iter().enumerate() {
        let module = project.root.join("artifacts").join(format!("{profile}.wasm"));
        let mut variables = variables.clone();
        variables.push(("AFMPEG_TEST_MODULE", module.display().to_string()));
        eprintln!("testing the module of {profile}");
        // What doesn't depend on the module is tested once.
        if position == 0 {
            for scope in SCOPES {
                cargo.run(&[&["test", "--no-fail-fast"], scope].concat(), &variables)?;
            }
            cargo.run(&[&["test"], LIBRARY, LIBRARY_TESTS].concat(), &variables)?;
        } else {
            cargo.run(&[&["test"], SCOPES[0], &["--test", "media"]].concat(), &variables)?;
        }
    }
    Ok(())
}

/// A part of FATE, of the comparison of engines, and of fuzzing.
fn suites(project: &Project, flags: &Test) -> Result<()> {
    let fate = Fate {
        origins: flags.origins.clone(),
        profile: flags.profile.clone(),
        slice: true,
        ..Fate::default()
    };
    super::fate::run(project, &fate)?;
    for profile in &flags.profile {
        let conform = Conform {
            origins: flags.origins.clone(),
            profile: profile.clone(),
            slice: true,
            ..Conform::default()
        };
        super::conform::run(project, &conform)?;
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
        super::fuzz::run(project, &fuzz)?;
    }
    Ok(())
}

/// What is done in a minute or two where dependencies are compiled.
fn quick(project: &Project, cargo: &Cargo) -> Result<()> {
    cargo.run(&["fmt", "--all", "--check"], &[])?;
    cargo.clippy(SCOPES[0])?;
    let mut names = Vec::new();
    for folder in ["runtime/tests", "release/tests"] {
        let folder = project.root.join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".rs").map(str::to_owned));
        }
    }
    names.push(TIDY.into());
    names.retain(|name| name != MODULE_TEST && !PACK_TESTS.contains(&name.as_str()));
    names.sort();
    let tests = names.iter().flat_map(|name| ["--test", name]);
    let arguments: Vec<&str> = [&["test"], SCOPES[0], &["--lib"]]
        .concat()
        .into_iter()
        .chain(tests)
        .collect();
    cargo.run(&arguments, &[(WITHOUT_PACKS_VARIABLE, "1".to_owned())])
}

/// What has tests leave out parts, or test something else: that is said here, and not by the caller's environment. What
/// names programs is the caller's.
fn changes_tests(name: &str) -> bool {
    let names_a_program = ["AFMPEG_TEST_BROWSER", "AFMPEG_TEST_COMMAND", "AFMPEG_TEST_FIREFOX"].contains(&name);
    let is_setting = name.starts_with("AFMPEG_TEST_") || name.starts_with("PROPTEST_") || name == "PYTHONOPTIMIZE";
    is_setting && !names_a_program
}

struct Cargo<'a> {
    root: &'a Path,
    offline: bool,
}

impl Cargo<'_> {
    fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> Result<()> {
        self.run_in(self.root, arguments, variables)
    }

    fn clippy(&self, scope: &[&str]) -> Result<()> {
        let lints = [&["clippy", "--all-targets"], scope, &["--", "-D", "warnings"]];
        self.run(&lints.concat(), &[])
    }

    fn run_in(&self, folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Result<()> {
        let mut invocation = Invocation::new("cargo", folder)
            .arguments(arguments.iter().copied())
            .inherit_environment();
        // What builds need for their own sake is not for cargo.
        invocation.environment.remove("SOURCE_DATE_EPOCH");
        invocation.environment.retain(|name, _| !changes_tests(name));
        if self.offline {
            invocation.environment.insert("CARGO_NET_OFFLINE".into(), "true".into());
        }
        let variables = variables.iter();
        invocation
            .environment
            .extend(variables.map(|(name, value)| ((*name).to_owned(), value.clone())));
        if !invocation.interactive()? {
            bail!("`cargo {}` failed", arguments.join(" "));
        }
        Ok(())
    }
}

/// Packages the crates that could be published, and compiles them from their packages. Cargo does not package crates that
/// depend on each other while they must not be published, so this is done in a copy in which they may.
fn package_crates(project: &Project, cargo: &Cargo) -> Result<()> {
    let copy = project.cache.scratch()?;
    // Without what lies there of builds.
    let files = Invocation::new("git", &project.root)
        .arguments(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"])
        .arguments([
            "Cargo.lock",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "packages/python",
            "release",
            "runtime",
            "rust-toolchain.toml",
            "xtask",
            "lab",
        ])
        .inherit_environment()
        .output()?;
    for name in files.split_terminator('\0') {
        let target = copy.path().join(name);
        fs::create_dir_all(target.parent().context("a file lies in a folder")?)?;
        // A link's file takes its place.
        fs::copy(project.root.join(name), &target).with_context(|| format!("cannot copy {name}"))?;
    }
    let manifest = fs::read_to_string(project.root.join("Cargo.toml"))?;
    let manifest = manifest.replace("publish = false", "publish = [\"crates-io\"]");
    fs::write(copy.path().join("Cargo.toml"), manifest)?;
    let mut packages = PUBLISHED.map(|name| ["--package", name]).concat();
    packages.insert(0, "package");
    packages.extend(["--quiet", "--allow-dirty"]);
    // The copy's own is gone afterwards.
    let target = match std::env::var("CARGO_TARGET_DIR") {
        Ok(folder) => project.root.join(folder),
        Err(_) => project.root.join("target"),
    };
    cargo.run_in(
        copy.path(),
        &packages,
        &[("CARGO_TARGET_DIR", target.display().to_string())],
    )
}
