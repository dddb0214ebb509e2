//! `cargo xtask bench-js`: how fast the package for npm is, beside @ffmpeg/core, in a browser and in node.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::host::{self, Host};
use crate::bench::javascript::{FORMAT_VERSION, Header, Line, Run};
use crate::bench::samples::ModuleSizes;
use xtask::blocks;
use xtask::cache::write_file;
use xtask::digest;
use xtask::dist::folder::Folder;
use xtask::dist::npm;
use xtask::error::{environment, usage};
use xtask::flags::BenchJs;
use xtask::inputs::fetch::Fetcher;
use xtask::inputs::{node_modules, tests};
use xtask::process::{self, Invocation};
use xtask::project::Project;

/// The samples that the page is of, and the page.
const SAMPLES: &str = "bench/results/javascript.jsonl";
const PAGE: &str = "docs/performance/javascript.md";

/// A round takes two minutes where nothing else runs.
const ROUND_LIMIT: Duration = Duration::from_secs(1800);

pub fn run(project: &Project, flags: &BenchJs) -> Result<()> {
    let samples = project.root.join(SAMPLES);
    let page = project.root.join(PAGE);
    if flags.report {
        return report(&page, &Run::read(&fs::read_to_string(&samples).unwrap_or_default())?);
    }
    let bench = Bench::prepare(project, flags)?;
    let text = bench.measure(project, flags)?;
    let run = Run::read(&text)?;
    print!("{}", run.text());
    if let Some((case, runner, reason)) = run.unable.first() {
        bail!("the case {case} of {runner} failed: {reason}");
    }
    if flags.case.is_empty() {
        write_file(&samples, text.as_bytes())?;
        println!("samples: {}", samples.display());
        report(&page, &run)?;
    }
    Ok(())
}

fn report(page: &Path, run: &Run) -> Result<()> {
    blocks::fill(page, &run.tables())?;
    println!("{}", page.display());
    Ok(())
}

/// What is measured, in folders.
struct Bench {
    header: Header,
    scratch: xtask::cache::Scratch,
    node_modules: PathBuf,
    core: PathBuf,
    video: PathBuf,
    browser: PathBuf,
}

impl Bench {
    fn prepare(project: &Project, flags: &BenchJs) -> Result<Bench> {
        let browser = match &flags.browser {
            Some(path) => path.clone(),
            None => process::find("chromium")
                .ok_or_else(|| environment("no chromium is on PATH").hint("install it, or give --browser FILE"))?,
        };
        let fetcher = project.fetcher(&flags.origins);
        let core = fetcher
            .tree("ffmpeg-core", project.pins.source("ffmpeg-core")?)?
            .join("dist/umd");
        let scratch = project.cache.scratch()?;
        install(project, &fetcher, flags, scratch.path())?;
        let sources = project.root.join("packages/npm");
        Ok(Bench {
            header: header(project, flags, &browser, scratch.path())?,
            node_modules: node_modules::install(&project.cache, &project.host, &sources, flags.origins.offline)?,
            core,
            video: tests::video(project, &fetcher)?,
            browser,
            scratch,
        })
    }

    /// The lines of a file of samples.
    fn measure(&self, project: &Project, flags: &BenchJs) -> Result<String> {
        let folder = self.scratch.path();
        let mut invocation = Invocation::new("node", folder)
            .arguments(
                [
                    project.root.join("bench/javascript/run.js"),
                    folder.to_owned(),
                    self.core.clone(),
                    flags.profile.clone().into(),
                    self.video.clone(),
                    self.browser.clone(),
                ]
                .map(|path| path.display().to_string()),
            )
            .arguments([flags.rounds.to_string(), flags.case.join(",")])
            .inherit_environment();
        let modules = self.node_modules.display().to_string();
        invocation.environment.insert("AFMPEG_NODE_MODULES".into(), modules);
        let printed = folder.join("printed");
        let log = project.cache.path("logs", "bench-js.log");
        let limit = ROUND_LIMIT * u32::try_from(flags.rounds.get()).map_err(|_| usage("so many rounds never end"))?;
        let load = load()?;
        match invocation.run_within(limit, File::create(&printed)?, File::create(&log)?)? {
            Some(status) if status.success() => {}
            ended => bail!(
                "the measurements ended with {ended:?}\ncommand: {}\nits last lines:\n{}",
                invocation.pasteable(),
                process::last_lines(&log)?
            ),
        }
        let header = serde_json::to_string(&Line::Header(Box::new(self.header.clone())))?;
        Ok(format!("{header}\n{}{load}", fs::read_to_string(&printed)?))
    }
}

/// Installs the packages into an empty folder, as npm does it.
fn install(project: &Project, fetcher: &Fetcher, flags: &BenchJs, place: &Path) -> Result<()> {
    let folder = Folder::of_artifacts(project, fetcher, std::slice::from_ref(&flags.profile))?;
    let record = folder.records()?.pop().context("the record of a profile")?;
    let packages = [
        npm::library(project, &folder.version, flags.origins.offline)?,
        npm::module(project, &folder, &record)?,
    ];
    let mut archives = Vec::new();
    for (name, data) in packages {
        let path = place.join(name);
        write_file(&path, &data)?;
        archives.push(path.display().to_string());
    }
    write_file(
        &place.join("package.json"),
        b"{ \"private\": true, \"type\": \"module\" }\n",
    )?;
    let mut npm = Invocation::new("npm", place)
        .arguments(["install", "--silent", "--no-audit", "--no-fund", "--offline"])
        .arguments(archives)
        .inherit_environment();
    let cache = place.join("npm cache").display().to_string();
    npm.environment.insert("npm_config_cache".into(), cache);
    npm.output().map(drop)
}

fn header(project: &Project, flags: &BenchJs, browser: &Path, place: &Path) -> Result<Header> {
    let module = project.root.join("artifacts").join(format!("{}.wasm", flags.profile));
    let size = |form: &str| -> Result<u64> { Ok(fs::metadata(module.with_extension(form))?.len()) };
    let version_of = |program: &str| {
        let version = Invocation::new(program, place).arguments(["--version"]).output();
        version.map(|text| text.trim().to_owned())
    };
    Ok(Header {
        format_version: FORMAT_VERSION,
        host: Host::here()?,
        profile: flags.profile.clone(),
        module: ModuleSizes {
            sha256: digest::file(&module)?,
            size_bytes: size("wasm")?,
            gzip_bytes: size("wasm.gz")?,
            brotli_bytes: size("wasm.br")?,
        },
        core: format!("@ffmpeg/core {}", project.pins.source("ffmpeg-core")?.version),
        browser: version_of(&browser.display().to_string())?,
        node: format!("node {}", version_of("node")?),
    })
}

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_secs(3);

/// What other processes compute, looked at while nothing is measured: a browser's processes do not end below this one, so that
/// theirs could not be told from it.
fn load() -> Result<String> {
    let Some(before) = host::busy_seconds() else {
        return Ok(String::new());
    };
    thread::sleep(LOOK);
    let busy = host::busy_seconds().unwrap_or_default() - before;
    let cores = thread::available_parallelism()?.get() as f64;
    let other_share = busy / (cores * LOOK.as_secs_f64());
    Ok(serde_json::to_string(&Line::Load { other_share })? + "\n")
}
