//! Runs the steps of a plan. A step's result lies in the cache under its key; what is there is fresh.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::build::facts::{self, Tools};
use crate::build::watch;
use crate::digest;
use crate::error::usage;
use crate::inputs::fetch::Fetcher;
use crate::inputs::{patch, unpack};
use crate::plan::step::{Action, Places, Plan, Step};
use crate::process::{self, Invocation};
use crate::progress::{Counter, Progress, Work};
use crate::project::Project;
use crate::wasm;

/// What running a plan needs beside the plan.
#[derive(Debug)]
pub struct Executor<'a> {
    pub project: &'a Project,
    pub fetcher: &'a Fetcher<'a>,
    pub tools: &'a Tools,
    pub jobs: usize,
}

/// Where each step's result lies, and how long it took if it was made now.
#[derive(Debug, Clone, Default)]
pub struct Results {
    folders: BTreeMap<String, PathBuf>,
    pub seconds: BTreeMap<String, Duration>,
}

impl Results {
    pub fn folder(&self, step: &str) -> Result<&Path> {
        self.folders
            .get(step)
            .map(PathBuf::as_path)
            .with_context(|| format!("no step {step} was run"))
    }

    fn add(&mut self, step: &Step, (folder, seconds): Made) {
        self.folders.insert(step.name.clone(), folder);
        if let Some(seconds) = seconds {
            self.seconds.insert(step.name.clone(), seconds);
        }
    }
}

/// Steps that run at once, each with as many jobs as there are cores.
const BESIDE_MAX: usize = 2;

/// How far steps have come that run beside each other.
struct Turns {
    results: Results,
    is_started: Vec<bool>,
    is_failed: bool,
}

impl Turns {
    /// The first step whose turn has not come, and whose inputs are there.
    fn next(&self, steps: &[Step]) -> Option<usize> {
        let is_missing = |earlier: &str| {
            steps.iter().any(|step| step.name == earlier) && !self.results.folders.contains_key(earlier)
        };
        let has_inputs = |step: &Step| !step.takes().any(is_missing);
        let is_next = |(index, step): (usize, &Step)| (!self.is_started[index] && has_inputs(step)).then_some(index);
        steps.iter().enumerate().find_map(is_next).filter(|_| !self.is_failed)
    }

    fn are_over(&self) -> bool {
        self.is_failed || self.is_started.iter().all(|is_started| *is_started)
    }
}

/// Tells those who wait for a step that it has ended, however it did.
struct EndsTurn<'a> {
    turns: &'a Mutex<Turns>,
    ended: &'a Condvar,
}

impl EndsTurn<'_> {
    fn well(self) {
        self.ended.notify_all();
        std::mem::forget(self);
    }
}

impl Drop for EndsTurn<'_> {
    fn drop(&mut self) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).is_failed = true;
        self.ended.notify_all();
    }
}

impl Executor<'_> {
    pub fn run(&self, plan: &Plan, progress: &Progress) -> Result<Results> {
        self.run_all(plan, None, progress)
    }

    /// Runs a plan whose steps take this module.
    pub fn run_on(&self, module: &Path, plan: &Plan, progress: &Progress) -> Result<Results> {
        self.run_all(plan, Some(module), progress)
    }

    fn run_all(&self, plan: &Plan, module: Option<&Path>, progress: &Progress) -> Result<Results> {
        let mut results = Results::default();
        let mut position = 0;
        while position < plan.steps.len() {
            let steps = &plan.steps[position..];
            let is_alike = |step: &&Step| step.keeps_one_core_busy == steps[0].keeps_one_core_busy;
            let steps = &steps[..steps.iter().take_while(is_alike).count()];
            if steps[0].keeps_one_core_busy {
                let label = format!("{}..{}", position + 1, position + steps.len());
                let label = format!("[{label}/{}] {}", plan.steps.len(), plan.profile);
                let counter = progress.count(&label, steps.len(), 0);
                let made = self.beside_each_other(plan, steps, &results, module, &counter)?;
                steps.iter().zip(made).for_each(|(step, made)| results.add(step, made));
            } else {
                results = self.in_turn(plan, position, steps, results, module, progress)?;
            }
            position += steps.len();
        }
        Ok(results)
    }

    /// Runs steps in this order, and the next one that takes no result of theirs beside them: much of a library's build is its
    /// configuration, which keeps one core busy.
    fn in_turn(
        &self,
        plan: &Plan,
        position: usize,
        steps: &[Step],
        results: Results,
        module: Option<&Path>,
        progress: &Progress,
    ) -> Result<Results> {
        let turns = Mutex::new(Turns {
            results,
            is_started: vec![false; steps.len()],
            is_failed: false,
        });
        let ended = Condvar::new();
        let lock = || turns.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || -> Result<()> {
            loop {
                let mut now = lock();
                let index = loop {
                    match now.next(steps) {
                        Some(index) => break index,
                        None if now.are_over() => return Ok(()),
                        None => now = ended.wait(now).unwrap_or_else(PoisonError::into_inner),
                    }
                };
                now.is_started[index] = true;
                let results = now.results.clone();
                drop(now);
                let end = EndsTurn {
                    turns: &turns,
                    ended: &ended,
                };
                let step = &steps[index];
                let number = position + index + 1;
                let label = format!("[{number}/{}] {} {}", plan.steps.len(), plan.profile, step.name);
                let work = progress.start(&label);
                let made = self.told_step(plan, step, &results, module, &work)?;
                work.finish(if made.1.is_none() { "fresh" } else { "done" }, made.1);
                lock().results.add(step, made);
                end.well();
            }
        };
        thread::scope(|scope| {
            let count = BESIDE_MAX.min(self.jobs).min(steps.len());
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        Ok(turns.into_inner().unwrap_or_else(PoisonError::into_inner).results)
    }

    /// Runs steps that don't take each other's results, as many at once as there are jobs, in this order.
    fn beside_each_other(
        &self,
        plan: &Plan,
        steps: &[Step],
        results: &Results,
        module: Option<&Path>,
        counter: &Counter,
    ) -> Result<Vec<Made>> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, Made)>> {
            let mut made = Vec::new();
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                let Some(step) = steps.get(position) else {
                    return Ok(made);
                };
                let one = self.told_step(plan, step, results, module, &Work::silent());
                if one.is_err() {
                    // The others end with what they are at.
                    next.store(steps.len(), Ordering::Relaxed);
                }
                made.push((position, one?));
                counter.one(None);
            }
        };
        let mut made = Vec::new();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.min(steps.len())).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(done) => made.push(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        let mut made: Vec<(usize, Made)> = made.into_iter().collect::<Result<Vec<_>>>()?.concat();
        made.sort_by_key(|(position, _)| *position);
        counter.finish();
        Ok(made.into_iter().map(|(_, made)| made).collect())
    }

    /// A step, with its names in an error.
    fn told_step(
        &self,
        plan: &Plan,
        step: &Step,
        results: &Results,
        module: Option<&Path>,
        work: &Work,
    ) -> Result<Made> {
        let started = Instant::now();
        let made = self
            .step(step, results, module, work)
            .map_err(|error| match &step.places.recipe {
                Some(place) => error.context(format!("its recipe is {place}")),
                None => error,
            });
        let (folder, fresh) = made.with_context(|| format!("profile {}, step {}", plan.profile, step.name))?;
        Ok((folder, (!fresh).then(|| started.elapsed())))
    }

    fn step(&self, step: &Step, results: &Results, module: Option<&Path>, progress: &Work) -> Result<(PathBuf, bool)> {
        let name = step.result_name();
        let cache = &self.project.cache;
        cache.folder("steps", &name, |made| {
            let mut scratch = cache.scratch()?;
            // Compilers must not see a path that differs between machines as part of a name they keep.
            let folder = scratch.path().join("work");
            fs::create_dir(&folder)?;
            let log = cache.path("logs", &format!("{name}.log"));
            fs::write(&log, "")?;
            let mut running = Running {
                executor: self,
                results,
                module,
                progress,
                made,
                places: &step.places,
                told: String::new(),
                placeholders: vec![
                    ("{jobs}".into(), self.jobs.to_string()),
                    ("{sdk}".into(), self.tools.sdk.path.display().to_string()),
                    ("{work}".into(), folder.display().to_string()),
                ],
                work: folder,
                log,
            };
            for action in &step.actions {
                if let Err(error) = running.action(action) {
                    // The command that the error shows is run in there; a later build removes it.
                    scratch.leave();
                    return Err(error);
                }
            }
            facts::check_unchanged(self.project, step)
        })
    }
}

/// Where a step's result lies, and how long it took if it was made now.
type Made = (PathBuf, Option<Duration>);

/// A step that runs.
struct Running<'a> {
    executor: &'a Executor<'a>,
    results: &'a Results,
    module: Option<&'a Path>,
    progress: &'a Work,
    work: PathBuf,
    made: &'a Path,
    places: &'a Places,
    log: PathBuf,
    told: String,
    /// What stands for the placeholders of a plan.
    placeholders: Vec<(String, String)>,
}

impl Running<'_> {
    fn fill(&self, text: &str) -> String {
        let all = self.placeholders.iter();
        all.fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
    }

    fn action(&mut self, action: &Action) -> Result<()> {
        let Executor { project, fetcher, .. } = self.executor;
        match action {
            Action::Sdk => Ok(()),
            Action::Tool { name } => {
                let tree = fetcher.tree(name, project.pins.source(name)?)?;
                self.placeholders
                    .push((format!("{{tool:{name}}}"), tree.display().to_string()));
                Ok(())
            }
            Action::Source { name } => {
                self.progress.doing(&format!("unpacking {name}"));
                let tree = fetcher.tree(name, project.pins.source(name)?)?;
                let target = self.work.join(name);
                unpack::copy_tree(&tree, &target)?;
                patch::apply_series(&project.root.join("patches").join(name), &target)
            }
            Action::Guest { files } => self.take("guest", files),
            Action::Pack { files } => self.take("pack", files),
            Action::Module { sha256 } => self.take_module(sha256),
            Action::Look { step } => {
                let folder = self.results.folder(step)?.display().to_string();
                self.placeholders.push((format!("{{result:{step}}}"), folder));
                Ok(())
            }
            Action::Result { step, to } => unpack::copy_tree(self.results.folder(step)?, &self.work.join(to)),
            Action::Write { path, text } => write(&self.work.join(path), &self.fill(text)),
            Action::Run {
                directory,
                program,
                arguments,
                refused,
            } => self.run(directory, program, arguments, refused),
            Action::Keep { from, files, to } => keep(&self.work.join(from), files, &self.made.join(to)),
            Action::Pass(pass) => {
                self.progress.doing(pass.name());
                let sdk = &self.executor.tools.sdk.path;
                pass.run(&wasm::Work {
                    folder: &self.work,
                    log: &self.log,
                    wasm_opt: &self.executor.tools.wasm_opt,
                    jobs: self.executor.jobs,
                    host_paths: &telling([project.cache.root(), &project.root, sdk]),
                })
            }
        }
    }

    /// Says what is done, once where the same is done again and again.
    fn tell(&mut self, what: String) {
        if self.told != what {
            self.progress.doing(&what);
            self.told = what;
        }
    }

    /// Copies files of a folder of the repository.
    fn take(&self, folder: &str, files: &[String]) -> Result<()> {
        for file in files {
            let target = self.work.join(folder).join(file);
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            let source = self.executor.project.root.join(folder).join(file);
            fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        }
        Ok(())
    }

    fn take_module(&self, sha256: &str) -> Result<()> {
        let module = self.module.context("the plan takes a module, and none was given")?;
        let target = self.work.join("module.wasm");
        fs::copy(module, &target).with_context(|| format!("cannot copy {}", module.display()))?;
        if digest::file(&target)? != sha256 {
            bail!(
                "{} was changed while its pack was made; run this again",
                module.display()
            );
        }
        Ok(())
    }

    fn run(&mut self, directory: &str, program: &str, arguments: &[String], refused: &[String]) -> Result<()> {
        let program = self.fill(program);
        let arguments: Vec<String> = arguments.iter().map(|argument| self.fill(argument)).collect();
        // What is told is the program itself, and not the variables that it is given by `env`.
        let mut words = std::iter::once(&program)
            .chain(&arguments)
            .filter(|word| *word != "env" && !word.contains('='));
        let name = words
            .next()
            .map_or("", |word| word.rsplit('/').next().unwrap_or(word))
            .to_owned();
        let first = words.next().map(String::as_str).unwrap_or_default();
        self.tell(format!("{name} {first}"));
        let mut invocation = Invocation::new(&program, &self.work.join(directory)).arguments(arguments);
        let path = format!("{}:{}", self.work.join("bin").display(), invocation.environment["PATH"]);
        invocation.environment.insert("PATH".into(), path);
        // No version script may find the repository of the checkout that the cache could lie in.
        invocation
            .environment
            .insert("GIT_CEILING_DIRECTORIES".into(), self.work.display().to_string());
        let said_bytes = fs::metadata(&self.log)?.len();
        let known = if name == "make" {
            watch::known(&invocation)
        } else {
            None
        };
        watch::compile(
            &invocation.directory,
            known,
            |state| self.progress.moves(&format!("{name}: {state}")),
            || invocation.run(&self.log),
        )?;
        self.check_said(&name, said_bytes, refused)
    }

    /// Fails where a program has said, since its log had so many bytes, that it does not know something it was given.
    fn check_said(&self, program: &str, from_byte: u64, refused: &[String]) -> Result<()> {
        let log = fs::read(&self.log)?;
        let said = String::from_utf8_lossy(&log[from_byte as usize..]);
        // The first line is the command.
        let mut faults = Vec::new();
        for line in said.lines().skip(1) {
            if refused.iter().any(|text| line.contains(text)) {
                let mut places = self.places.arguments.iter();
                let place = places.find(|(argument, _)| line.split(' ').any(|word| word == argument.as_str()));
                let place = place.map(|(_, place)| format!("  ({place})")).unwrap_or_default();
                faults.push(format!("{}{place}", line.trim()));
            } else if !faults.is_empty() && line.starts_with(' ') && faults.len() < 20 {
                // CMake names them below.
                faults.push(line.trim().to_owned());
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{program} does not take all that it is given:\n  {}",
            faults.join("\n  ")
        );
        let hint = format!(
            "take it out of the recipe, or write it as upstream does; the log is {}",
            self.log.display()
        );
        Err(usage(message).hint(hint).into())
    }
}

/// Those of these folders whose names a module cannot have by chance: `/data` is a text of FFmpeg's, too.
fn telling(folders: [&Path; 3]) -> Vec<PathBuf> {
    let is_name = |component: &Component| matches!(component, Component::Normal(_));
    let is_telling = |folder: &&Path| folder.components().filter(is_name).count() > 1;
    folders.into_iter().filter(is_telling).map(Path::to_owned).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    if text.starts_with("#!") {
        process::write_program(path, text)
    } else {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Copies the files that the globs name, with their folders. A glob that finds nothing is a mistake in the recipe.
fn keep(from: &Path, patterns: &[String], to: &Path) -> Result<()> {
    for pattern in patterns {
        let globs = unpack::globs(std::slice::from_ref(pattern))?;
        let mut found = false;
        for entry in walkdir::WalkDir::new(from).sort_by_file_name() {
            let entry = entry?;
            let name = entry.path().strip_prefix(from)?;
            if entry.file_type().is_dir() || !globs.is_match(name) {
                continue;
            }
            found = true;
            let target = to.join(name);
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            fs::copy(entry.path(), &target).with_context(|| format!("cannot keep {}", name.display()))?;
        }
        if !found {
            bail!("the step made no {pattern}");
        }
    }
    Ok(())
}
