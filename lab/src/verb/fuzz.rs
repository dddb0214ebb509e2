//! `cargo xtask fuzz`: hostile host calls and damaged media at length, in release, by the package `afmpeg-fuzz`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use xtask::build::facts::Tools;
use xtask::data;
use xtask::digest;
use xtask::error::{environment, usage};
use xtask::flags::{Fuzz, FuzzKind};
use xtask::inputs::tests;
use xtask::process::Invocation;
use xtask::project::Project;

const PACKAGE: &str = "afmpeg-fuzz";
/// The module that crashes are compared with.
const SCALAR_PROFILE: &str = "o3-gpl-scalar";
/// Packages whose tests bring real files of many kinds.
const REAL_FILES: [&str; 2] = ["exiftool-images", "taglib-data"];
const QUICK_CALLS: u64 = 40_000;
const QUICK_MEDIA: u64 = 2_000;

/// conformance/fuzz.toml
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectations {
    format_version: u32,
    #[serde(default)]
    known: Vec<Known>,
}

/// A crash of the module that is known, with its cause.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Known {
    reason: String,
    function: String,
    scalar: bool,
    cause: String,
}

#[derive(Serialize)]
struct Tested {
    path: PathBuf,
    named: Option<PathBuf>,
    compiled: PathBuf,
    pack: Option<PathBuf>,
}

/// What the package is asked for, in its own words.
#[derive(Serialize)]
struct Request {
    profile: String,
    module: Tested,
    scalar: Option<Tested>,
    calls: u64,
    media: u64,
    seed: u64,
    case: Option<u64>,
    jobs: usize,
    real_files: Vec<PathBuf>,
    video: PathBuf,
    folder: PathBuf,
    known: Vec<Known>,
    json: Option<PathBuf>,
}

pub fn run(project: &Project, flags: &Fuzz) -> Result<()> {
    let expectations: Expectations = data::read_toml(&project.root.join("conformance/fuzz.toml"))?;
    if expectations.format_version != 1 {
        return Err(usage("conformance/fuzz.toml: format_version must be 1").into());
    }
    project.recipe(&flags.profile)?;
    if let Some(runs) = flags.guided {
        return guided(project, flags, runs);
    }
    if flags.case.is_some() && flags.only != Some(FuzzKind::Media) {
        return Err(usage("--case goes with --only media").into());
    }
    let lock = project.cache.lock("fuzz")?;
    let request = request(project, flags, expectations.known)?;
    let folder = &request.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join("request.json");
    fs::write(&path, serde_json::to_string_pretty(&request)?)?;
    let all_is_well = drive(project, &path)?;
    drop(lock);
    if !all_is_well {
        bail!(
            "fuzzing found something that conformance/fuzz.toml doesn't know; files and commands are in {}",
            folder.join("findings").display()
        );
    }
    Ok(())
}

/// What is to be done, for the crate that does it.
fn request(project: &Project, flags: &Fuzz, known: Vec<Known>) -> Result<Request> {
    let (calls, media) = if flags.quick {
        (QUICK_CALLS, QUICK_MEDIA)
    } else {
        (flags.calls, flags.media)
    };
    let mut request = Request {
        profile: flags.profile.clone(),
        module: Tested {
            path: PathBuf::new(),
            named: None,
            compiled: PathBuf::new(),
            pack: None,
        },
        scalar: None,
        calls: if flags.only == Some(FuzzKind::Media) { 0 } else { calls },
        media: if flags.only == Some(FuzzKind::Calls) { 0 } else { media },
        seed: flags.seed,
        case: flags.case,
        jobs: xtask::flags::jobs(flags.jobs)?,
        real_files: Vec::new(),
        video: PathBuf::new(),
        known,
        json: flags.json.as_ref().map(std::path::absolute).transpose()?,
        folder: project.cache.path("fuzz", "calls"),
    };
    if request.media > 0 || request.case.is_some() {
        let path = crate::module::find(project, flags.module.as_deref(), &flags.profile)?;
        // Samples are the module's own, and its findings are too.
        let sha256 = digest::file(&path)?;
        request.folder = project.cache.path("fuzz", &sha256[..16]);
        request.module = tested(project, flags, path, &flags.profile)?;
        if flags.pack {
            let pack = crate::module::pack(&request.module.path)?;
            request.module.pack = Some(crate::module::pack_record(&pack));
        }
        request.scalar = scalar(project, flags)?;
        let fetcher = project.fetcher(&flags.origins);
        let media = tests::media(project, &fetcher)?;
        request.real_files = media.into_iter().map(|(_, folder)| folder).collect();
        for name in REAL_FILES {
            request.real_files.push(fetcher.tree(name, project.pins.source(name)?)?);
        }
        request.video = tests::video(project, &fetcher)?;
    }
    Ok(request)
}

/// The module that crashes are compared with.
fn scalar(project: &Project, flags: &Fuzz) -> Result<Option<Tested>> {
    // It would be compared with itself.
    if flags.profile == SCALAR_PROFILE {
        return Ok(None);
    }
    let path = match &flags.scalar {
        Some(path) => {
            let path = path.canonicalize();
            Some(path.with_context(|| {
                format!(
                    "no module {}",
                    flags.scalar.as_deref().unwrap_or(Path::new("")).display()
                )
            })?)
        }
        None => {
            let path = project.root.join("artifacts").join(format!("{SCALAR_PROFILE}.wasm"));
            path.exists().then_some(path)
        }
    };
    match path {
        Some(path) => Ok(Some(tested(project, flags, path, SCALAR_PROFILE)?)),
        None if flags.quick => Ok(None),
        None => Err(
            environment(format!("no module of {SCALAR_PROFILE} to compare crashes with"))
                .hint(format!("cargo xtask build --profile {SCALAR_PROFILE}"))
                .into(),
        ),
    }
}

/// Runs the crate that fuzzes, in release; whether it found nothing new.
fn drive(project: &Project, request: &Path) -> Result<bool> {
    let words = [
        "run",
        "--quiet",
        "--release",
        "--package",
        PACKAGE,
        "--bin",
        PACKAGE,
        "--",
        "drive",
    ];
    let mut invocation = Invocation::new("cargo", &project.root)
        .arguments(words)
        .arguments([request.display().to_string()])
        .inherit_environment();
    // What builds need for their own sake is not for cargo.
    invocation.environment.remove("SOURCE_DATE_EPOCH");
    invocation.interactive()
}

/// A module, and the result of the build step that still has names, if that build was made here.
fn tested(project: &Project, flags: &Fuzz, path: PathBuf, profile: &str) -> Result<Tested> {
    let compiled = project.cache.path("fuzz", "compiled").join(profile);
    Ok(Tested {
        named: named(project, flags, profile)?,
        path,
        compiled,
        pack: None,
    })
}

fn named(project: &Project, flags: &Fuzz, profile: &str) -> Result<Option<PathBuf>> {
    // A module that was brought along need not be of these sources.
    if flags.module.is_some() {
        return Ok(None);
    }
    let fetcher = project.fetcher(&flags.origins);
    let plan = project.plan(profile, &Tools::find(project, &fetcher)?.facts)?;
    let step = plan
        .steps
        .iter()
        .find(|step| step.name == "optimise")
        .context("a plan optimises")?;
    Ok(wasm_in(&project.cache.root().join(step.result_folder())))
}

fn wasm_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "wasm"))
}

/// libFuzzer, which finds sequences by the code that they reach. The compiler needs no other flags than stable ones for
/// that; what was found is kept in the cache, and gone on from.
fn guided(project: &Project, flags: &Fuzz, runs: u64) -> Result<()> {
    const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                            -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
                            --cfg fuzzing -Ccodegen-units=1";
    let folder = project.cache.path("fuzz", "guided");
    let corpus = folder.join("corpus");
    let artifacts = folder.join("artifacts");
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // Only with a target named are build scripts left alone by the flags.
    let version = Invocation::new("rustc", &project.root)
        .arguments(["-vV"])
        .inherit_environment()
        .output()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc says what it compiles for")?;
    // Instrumented code would push out the other, were they in one folder.
    let target = folder.join("target");
    let mut invocation = Invocation::new("cargo", &project.root)
        .arguments([
            "run",
            "--quiet",
            "--release",
            "--package",
            PACKAGE,
            "--bin",
            "host_calls",
        ])
        .arguments(["--features", "libfuzzer", "--target", host, "--"])
        .arguments([corpus.display().to_string()])
        .arguments([
            format!("-artifact_prefix={}/", artifacts.display()),
            format!("-runs={runs}"),
            format!("-seed={}", flags.seed),
            "-max_len=2000".to_owned(),
            "-print_final_stats=1".to_owned(),
        ])
        .inherit_environment();
    invocation.environment.remove("SOURCE_DATE_EPOCH");
    invocation.environment.insert("RUSTFLAGS".into(), COVERAGE.into());
    invocation
        .environment
        .insert("CARGO_TARGET_DIR".into(), target.display().to_string());
    if !invocation.interactive()? {
        bail!(
            "libFuzzer found a sequence that does harm: it is in {}",
            artifacts.display()
        );
    }
    Ok(())
}
