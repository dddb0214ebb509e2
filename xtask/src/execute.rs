//! Runs the steps of a plan. A step's result lies in the cache under its key; what is there is fresh.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::fetch::Fetcher;
use crate::module::Module;
use crate::patch;
use crate::plan::{Action, Plan, Step};
use crate::process::{self, Invocation};
use crate::progress::Progress;
use crate::sdk::Sdk;
use crate::suspend::{self, Callbacks};
use crate::workshop::Workshop;
use crate::{compress, describe, inspect, profile, unpack, widen};

/// What running a plan needs beside the plan.
pub struct Executor<'a> {
    pub workshop: &'a Workshop,
    pub fetcher: &'a Fetcher<'a>,
    pub sdk: &'a Sdk,
    pub jobs: usize,
}

/// Where each step's result lies, and how long it took if it was made now.
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
}

impl Executor<'_> {
    pub fn run(&self, plan: &Plan, progress: &Progress) -> Result<Results> {
        let mut results = Results {
            folders: BTreeMap::new(),
            seconds: BTreeMap::new(),
        };
        for (position, step) in plan.steps.iter().enumerate() {
            let label = format!("[{}/{}] {} {}", position + 1, plan.steps.len(), plan.profile, step.name);
            let started = Instant::now();
            let work = progress.start(&label);
            let folder = self.step(step, &results, |doing| work.doing(doing));
            let (folder, fresh) = folder.with_context(|| format!("profile {}, step {}", plan.profile, step.name))?;
            if !fresh {
                results.seconds.insert(step.name.clone(), started.elapsed());
            }
            work.finish(
                if fresh { "fresh" } else { "done" },
                (!fresh).then(|| started.elapsed()),
            );
            results.folders.insert(step.name.clone(), folder);
        }
        Ok(results)
    }

    fn step(&self, step: &Step, results: &Results, doing: impl Fn(&str)) -> Result<(PathBuf, bool)> {
        let name = step.result_name();
        self.workshop.cache.folder("steps", &name, |made| {
            let mut scratch = self.workshop.cache.scratch()?;
            // Compilers must not see a path that differs between machines as part of a name they keep.
            let work = scratch.path().join("work");
            fs::create_dir(&work)?;
            let log = self.workshop.cache.path("logs", &format!("{name}.log"));
            fs::write(&log, "")?;
            for action in &step.actions {
                if let Err(error) = self.action(action, &work, made, &log, results, &doing) {
                    // The command that the error shows is run in there; the next build removes it.
                    scratch.disable_cleanup(true);
                    return Err(error);
                }
            }
            self.workshop.check_unchanged(step)
        })
    }

    fn action(
        &self,
        action: &Action,
        work: &Path,
        made: &Path,
        log: &Path,
        results: &Results,
        doing: &impl Fn(&str),
    ) -> Result<()> {
        match action {
            Action::Toolchain => write_toolchain(self.sdk, work),
            Action::Source { name } => {
                doing(&format!("unpacking {name}"));
                let tree = self.fetcher.tree(name, self.workshop.pins.source(name)?)?;
                let target = work.join(name);
                unpack::copy_tree(&tree, &target)?;
                patch::apply_series(&self.workshop.root.join("patches").join(name), &target)
            }
            Action::Guest { files } => {
                for file in files {
                    let target = work.join("guest").join(file);
                    fs::create_dir_all(target.parent().context("a file has a folder")?)?;
                    let source = self.workshop.root.join("guest").join(file);
                    fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
                }
                Ok(())
            }
            Action::Result { step, to } => unpack::copy_tree(results.folder(step)?, &work.join(to)),
            Action::Write { path, text } => {
                let path = work.join(path);
                fs::create_dir_all(path.parent().context("a file has a folder")?)?;
                if text.starts_with("#!") {
                    process::write_program(&path, text)
                } else {
                    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
                }
            }
            Action::Run {
                directory,
                program,
                arguments,
            } => {
                doing(&format!(
                    "{program} {}",
                    arguments.first().map(String::as_str).unwrap_or_default()
                ));
                let arguments = arguments
                    .iter()
                    .map(|argument| argument.replace("{jobs}", &self.jobs.to_string()));
                let mut invocation = Invocation::new(program, &work.join(directory)).arguments(arguments);
                let path = format!("{}:{}", work.join("bin").display(), invocation.environment["PATH"]);
                invocation.environment.insert("PATH".into(), path);
                // No version script may find the repository of the checkout that the cache could lie in.
                invocation
                    .environment
                    .insert("GIT_CEILING_DIRECTORIES".into(), work.display().to_string());
                invocation.run(log)
            }
            Action::Keep { from, files, to } => keep(&work.join(from), files, &made.join(to)),
            Action::Suspend {
                module,
                map,
                objects,
                to,
            } => {
                doing("finding what may be suspended");
                let declared: Callbacks = profile::read_toml(&work.join("guest/callbacks.toml"))?;
                let mut listed = HashSet::new();
                for list in objects {
                    listed.extend(read(&work.join(list))?.lines().map(str::to_owned));
                }
                let data = fs::read(work.join(module)).with_context(|| format!("cannot read {module}"))?;
                let module = Module::parse(&data)?;
                let program = suspend::functions_of(&module, &read(&work.join(map))?, &listed)?;
                let prepared = suspend::prepare(&module, &program, &declared)?;
                write_json(&work.join("suspend.json"), &prepared.report)?;
                fs::write(work.join(to), prepared.module).with_context(|| format!("cannot write {to}"))
            }
            Action::Widen { module, to } => {
                doing("widening arguments");
                let data = fs::read(work.join(module)).with_context(|| format!("cannot read {module}"))?;
                let wide = widen::widen(&Module::parse(&data)?)?;
                fs::write(work.join(to), wide).with_context(|| format!("cannot write {to}"))
            }
            Action::Optimise { module, arguments, to } => {
                doing("wasm-opt");
                let wasm_opt = self.workshop.wasm_opt(self.fetcher)?;
                let arguments = [module.clone(), "-o".into(), to.clone()]
                    .into_iter()
                    .chain(arguments.iter().cloned());
                let mut invocation = Invocation::new(wasm_opt.display().to_string(), work).arguments(arguments);
                invocation
                    .environment
                    .insert("BINARYEN_CORES".into(), self.jobs.to_string());
                invocation.run(log)
            }
            Action::Finish { module, features, to } => {
                doing("stripping and checking");
                let host_paths = [self.workshop.cache.root(), &self.workshop.root, &self.sdk.path].map(Path::to_owned);
                let inspection = inspect::finish(&work.join(module), features, &host_paths, &work.join(to))?;
                write_json(&work.join("inspection.json"), &inspection)
            }
            Action::Compress { module } => {
                doing("compressing");
                compress::beside(&work.join(module))
            }
            Action::Describe { module, to } => {
                doing("asking what it can do");
                write_json(&work.join(to), &describe::describe(&work.join(module))?)
            }
        }
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Compilers that carry what every call needs and no recorded configuration should name: the SDK's place, and how to
/// forget it and the work folder's.
pub fn write_toolchain(sdk: &Sdk, work: &Path) -> Result<()> {
    let bin = work.join("bin");
    fs::create_dir(&bin)?;
    let (sdk, work) = (sdk.path.display(), work.display());
    for (name, program) in [("wasm-cc", "clang"), ("wasm-c++", "clang++")] {
        let text = format!(
            "#!/bin/sh\nexec \"{sdk}/bin/{program}\" --target=wasm32-wasip1 --sysroot=\"{sdk}/share/wasi-sysroot\" \
             --start-no-unused-arguments --no-wasm-opt --end-no-unused-arguments \
             -Werror=date-time -ffile-prefix-map=\"{work}\"=. -ffile-prefix-map=\"{sdk}\"=sdk \"$@\"\n"
        );
        process::write_program(&bin.join(name), &text)?;
    }
    for tool in ["ar", "nm", "ranlib"] {
        let text = format!("#!/bin/sh\nexec \"{sdk}/bin/llvm-{tool}\" \"$@\"\n");
        process::write_program(&bin.join(format!("wasm-{tool}")), &text)?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    fs::write(path, serde_json::to_string_pretty(value)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
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

/// Digests of the parts of this tool that transform modules: their results depend on them.
pub fn transforms() -> BTreeMap<String, String> {
    [
        (
            "suspend",
            [include_bytes!("suspend.rs").as_slice(), include_bytes!("module.rs")].concat(),
        ),
        (
            "inspect",
            [include_bytes!("inspect.rs").as_slice(), include_bytes!("module.rs")].concat(),
        ),
        (
            "widen",
            [include_bytes!("widen.rs").as_slice(), include_bytes!("module.rs")].concat(),
        ),
        ("compress", include_bytes!("compress.rs").to_vec()),
        ("describe", include_bytes!("describe.rs").to_vec()),
    ]
    .map(|(name, source)| (name.to_owned(), crate::digest::bytes(&source)))
    .into()
}
