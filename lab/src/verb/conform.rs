//! `cargo xtask conform`: the same jobs on one module in several engines, and natively; the same bytes come out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::conform::compare::{self, Outcome, STANDARD_OUTPUT};
use crate::conform::engines::Engines;
use crate::conform::jobs::{Job, Jobs, Tolerance};
use crate::media::{CLIP, Input};
use xtask::build::native;
use xtask::cache;
use xtask::digest;
use xtask::error::environment;
use xtask::flags::Conform;
use xtask::flags::Engine;
use xtask::inputs::tests;
use xtask::plan::native::Native;
use xtask::process;
use xtask::progress::Progress;
use xtask::project::Project;

/// What no job here comes near to, even on a busy machine: one that takes as long hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// History of the format: 1, the first.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    format_version: u32,
    profile: String,
    module_sha256: String,
    jobs: Vec<Compared>,
}

/// One job in all engines.
#[derive(Serialize)]
struct Compared {
    name: String,
    seconds: f64,
    engines: BTreeMap<Engine, Verdict>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// The same bytes as in our runtime; of our runtime itself: it ended as it should.
    Same,
    /// Not the same, but as like as the list of jobs says, and for its reason.
    Alike {
        psnr_db: f64,
    },
    /// The list of jobs says why this engine can't do it.
    LeftOut(String),
    Differs(String),
}

pub fn run(project: &Project, flags: &Conform) -> Result<()> {
    let jobs = Jobs::load(project)?;
    let inputs = jobs.inputs.clone();
    let recipe = project.recipe(&flags.profile)?;
    let jobs = jobs.chosen(&flags.filter, flags.slice, &recipe.components.libraries)?;
    if flags.list {
        for job in &jobs {
            println!("{}", job.name);
        }
        return Ok(());
    }
    let module = crate::module::find(project, flags.module.as_deref(), &flags.profile)?;
    let mut engines = if flags.engine.is_empty() {
        Engine::ALL.to_vec()
    } else {
        flags.engine.clone()
    };
    // Whatever is asked for is compared with our runtime.
    engines.push(Engine::Afmpeg);
    engines.sort();
    engines.dedup();
    let progress = Progress::new();
    let jobs_at_once = flags.jobs.map_or_else(thread::available_parallelism, Ok)?.get();
    let comparison = Comparison::prepare(project, flags, &module, &engines, &inputs, jobs_at_once, &progress)?;

    let counter = progress.count(&format!("{} conform", flags.profile), jobs.len(), 0);
    let next = AtomicUsize::new(0);
    let compared = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let work = || {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = comparison.run(job);
                let note = match &result {
                    Ok(compared) => (!compared.faults().is_empty()).then(|| compared.faults().join("\n")),
                    Err(error) => Some(format!("{}: {error:#}", job.name)),
                };
                counter.one(note);
                compared.lock().unwrap_or_else(PoisonError::into_inner).push(result);
            }
        };
        for _ in 0..jobs_at_once {
            scope.spawn(work);
        }
    });
    counter.finish();
    let results = compared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut results = results.into_iter().collect::<Result<Vec<Compared>>>()?;
    results.sort_by(|a, b| a.name.cmp(&b.name));
    print!("{}", summary(&flags.profile, &results, &engines));
    let faults: Vec<String> = results.iter().flat_map(Compared::faults).collect();
    if let Some(path) = &flags.json {
        let document = Document {
            format_version: FORMAT_VERSION,
            profile: flags.profile.clone(),
            module_sha256: digest::file(&module)?,
            jobs: results,
        };
        cache::write_file(path, (serde_json::to_string_pretty(&document)? + "\n").as_bytes())?;
    }
    if !faults.is_empty() {
        bail!("profile {}: engines differ\n  {}", flags.profile, faults.join("\n  "));
    }
    Ok(())
}

fn summary(profile: &str, results: &[Compared], engines: &[Engine]) -> String {
    let mut text = format!(
        "{profile:<24}{:>8}{:>8}{:>10}{:>8}\n",
        "same", "alike", "left out", "differ"
    );
    for engine in engines {
        let count = |wanted: fn(&Verdict) -> bool| {
            let verdicts = results.iter().filter_map(|compared| compared.engines.get(engine));
            verdicts.filter(|verdict| wanted(verdict)).count()
        };
        text += &format!(
            "{:<24}{:>8}{:>8}{:>10}{:>8}\n",
            engine.name(),
            count(|verdict| matches!(verdict, Verdict::Same)),
            count(|verdict| matches!(verdict, Verdict::Alike { .. })),
            count(|verdict| matches!(verdict, Verdict::LeftOut(_))),
            count(|verdict| matches!(verdict, Verdict::Differs(_))),
        );
    }
    text
}

impl Compared {
    fn faults(&self) -> Vec<String> {
        let fault = |(engine, verdict): (&Engine, &Verdict)| match verdict {
            Verdict::Differs(how) => Some(format!("{} in {}: {how}", self.name, engine.name())),
            Verdict::Same | Verdict::Alike { .. } | Verdict::LeftOut(_) => None,
        };
        self.engines.iter().filter_map(fault).collect()
    }
}

/// What all jobs share.
struct Comparison {
    engines: Engines,
    chosen: Vec<Engine>,
    /// Holds the inputs.
    inputs: PathBuf,
    scratch: xtask::cache::Scratch,
    logs: PathBuf,
}

impl Comparison {
    fn prepare(
        project: &Project,
        flags: &Conform,
        module: &Path,
        chosen: &[Engine],
        inputs: &[Input],
        jobs_at_once: usize,
        progress: &Progress,
    ) -> Result<Comparison> {
        let fetcher = project.fetcher(&flags.origins);
        let mut native = PathBuf::new();
        if chosen.contains(&Engine::Native) {
            native = native::build(
                project,
                &fetcher,
                Native::WithoutAssembly,
                &flags.profile,
                jobs_at_once,
                progress,
            )?;
        }
        let mut wasmtime = PathBuf::new();
        if chosen.contains(&Engine::Wasmtime) {
            wasmtime = fetcher.tree("wasmtime", project.pins.source("wasmtime")?)?;
        }
        let mut pack = PathBuf::new();
        if chosen.contains(&Engine::Pack) {
            pack = crate::module::pack_record(&crate::module::pack(module)?);
        }
        if chosen.contains(&Engine::Node) && !process::is_installed("node") {
            return Err(environment("the program node is missing")
                .hint("apt-get install nodejs (version 20 or later), or leave it out with --engine")
                .into());
        }
        let folder = project.cache.path("fate", &format!("conform-{}", flags.profile));
        let scratch = project.cache.scratch()?;
        let logs = folder.join("logs");
        fs::create_dir_all(&logs)?;
        let comparison = Comparison {
            engines: Engines::new(module, &folder, &project.root, wasmtime, native, pack, LIMIT)?,
            chosen: chosen.to_vec(),
            inputs: scratch.path().join("inputs"),
            scratch,
            logs,
        };
        fs::create_dir(&comparison.inputs)?;
        for &engine in chosen {
            let work = progress.start(&format!("{} {}", flags.profile, engine.name()));
            let started = Instant::now();
            let folder = comparison.scratch.path().join(engine.name());
            fs::create_dir(&folder)?;
            comparison.engines.prepare(engine, &folder)?;
            work.finish("ready", Some(started.elapsed()));
        }
        fs::copy(tests::video(project, &fetcher)?, comparison.inputs.join(CLIP))?;
        comparison.make_inputs(inputs)?;
        Ok(comparison)
    }

    fn make_inputs(&self, inputs: &[Input]) -> Result<()> {
        for input in inputs {
            if let Some(text) = &input.text {
                fs::write(self.inputs.join(&input.name), text)?;
            }
            if let Some(command) = &input.command {
                let log = self.logs.join(format!("input {}.log", input.name));
                let output = File::create(self.scratch.path().join("output"))?;
                let code = self.engines.run(Engine::Afmpeg, command, &self.inputs, output, &log)?;
                if code != 0 || !self.inputs.join(&input.name).is_file() {
                    bail!("input {} could not be made: see {}", input.name, log.display());
                }
            }
        }
        Ok(())
    }

    fn run(&self, job: &Job) -> Result<Compared> {
        let started = Instant::now();
        let folder = tempfile::tempdir_in(self.scratch.path())?;
        let mut engines = BTreeMap::new();
        let mut reference = None;
        for &engine in &self.chosen {
            if let Some(reason) = job.without.get(&engine) {
                engines.insert(engine, Verdict::LeftOut(reason.clone()));
                continue;
            }
            let own = folder.path().join(engine.name());
            let verdict = match (self.run_in(job, engine, &own), &reference) {
                (Err(fault), _) => Verdict::Differs(format!("{fault:#}")),
                (Ok(outcome), None) => {
                    reference = Some(outcome);
                    Verdict::Same
                }
                (Ok(outcome), Some(wanted)) => match (wanted.differences(&outcome), engine, &job.native) {
                    (differences, ..) if differences.is_empty() => Verdict::Same,
                    (_, Engine::Native, Some(tolerance)) => {
                        let wanted_in = folder.path().join(Engine::Afmpeg.name());
                        self.likeness(wanted, &outcome, tolerance, &wanted_in, &own, &job.name)?
                    }
                    (differences, ..) => Verdict::Differs(differences.join(", ")),
                },
            };
            let failed = engine == Engine::Afmpeg && reference.is_none();
            engines.insert(engine, verdict);
            if failed {
                break;
            }
        }
        Ok(Compared {
            name: job.name.clone(),
            seconds: started.elapsed().as_secs_f64(),
            engines,
        })
    }

    /// Runs a job's commands in a folder of its own.
    fn run_in(&self, job: &Job, engine: Engine, folder: &Path) -> Result<Outcome> {
        fs::create_dir(folder)?;
        for name in &job.inputs {
            fs::copy(self.inputs.join(name), folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        let printed = folder.with_extension("output");
        let log = self.log(&job.name, engine);
        let mut exit_code = 0;
        for (position, command) in job.commands.iter().enumerate() {
            let output = fs::OpenOptions::new().create(true).append(true).open(&printed)?;
            exit_code = self.engines.run(engine, command, folder, output, &log)?;
            let wanted = if position + 1 == job.commands.len() {
                job.exit_code
            } else {
                0
            };
            if exit_code != wanted {
                bail!(
                    "`{command}` ended with {exit_code} instead of {wanted}: see {}",
                    log.display()
                );
            }
        }
        Outcome::of(folder, &job.inputs, exit_code, &fs::read(&printed)?)
    }

    fn log(&self, job: &str, engine: Engine) -> PathBuf {
        let plain = |character: char| if character.is_alphanumeric() { character } else { '-' };
        let name: String = job.chars().map(plain).collect();
        self.logs.join(format!("{name}-{}.log", engine.name()))
    }

    /// Decodes both results, in our runtime, and measures how far they are apart.
    fn likeness(
        &self,
        wanted: &Outcome,
        got: &Outcome,
        tolerance: &Tolerance,
        wanted_in: &Path,
        got_in: &Path,
        job: &str,
    ) -> Result<Verdict> {
        if wanted.files.keys().ne(got.files.keys()) || wanted.exit_code != got.exit_code {
            return Ok(Verdict::Differs(wanted.differences(got).join(", ")));
        }
        let mut worst = f64::INFINITY;
        for (name, digest) in &wanted.files {
            if got.files[name] == *digest {
                continue;
            }
            if name == STANDARD_OUTPUT {
                return Ok(Verdict::Differs("it printed something else".into()));
            }
            let mut decoded = Vec::new();
            for folder in [wanted_in, got_in] {
                let path = folder.with_extension("decoded");
                let command = format!("ffmpeg -v error -i {name} {} pipe:1", tolerance.decode);
                let log = self.log(job, Engine::Afmpeg);
                let code = self
                    .engines
                    .run(Engine::Afmpeg, &command, folder, File::create(&path)?, &log)?;
                if code != 0 {
                    return Ok(Verdict::Differs(format!(
                        "`{command}` ended with {code}: see {}",
                        log.display()
                    )));
                }
                decoded.push(path);
            }
            worst = worst.min(compare::psnr_db(&decoded[0], &decoded[1])?);
        }
        Ok(if worst >= tolerance.psnr_min_db {
            Verdict::Alike { psnr_db: worst }
        } else {
            Verdict::Differs(format!(
                "{worst:.1} dB, and at least {} dB are allowed because of: {}",
                tolerance.psnr_min_db, tolerance.reason
            ))
        })
    }
}
