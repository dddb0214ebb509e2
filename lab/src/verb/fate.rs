//! `cargo xtask fate`: FFmpeg's own test suite on modules, in our runtime.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use afmpeg::Pack;
use anyhow::{Context, Result, bail};

use crate::fate::expectations::Expectations;
use crate::fate::list::{self, Test};
use crate::fate::report::{self, Run};
use crate::fate::results::{FORMAT_VERSION, Finished, Identity, Journal, Outcome};
use crate::fate::schedule;
use crate::fate::tree::Tree;
use crate::module;
use xtask::build::execute::Executor;
use xtask::build::facts::Tools;
use xtask::digest;
use xtask::error::usage;
use xtask::flags::Fate;
use xtask::process;
use xtask::progress::Progress;
use xtask::project::Project;

pub fn run(project: &Project, flags: &Fate) -> Result<()> {
    let expectations = Expectations::load(&project.root)?;
    if flags.module.is_some() && flags.profile.len() > 1 {
        return Err(usage("--module goes with one --profile, the one that it was built from").into());
    }
    let mut modules = Vec::new();
    for profile in &flags.profile {
        project.recipe(profile)?;
        modules.push(module::find(project, flags.module.as_deref(), profile)?);
    }
    let mut runs = Vec::new();
    for (profile, module) in flags.profile.iter().zip(&modules) {
        let suite = Suite {
            project,
            flags,
            expectations: &expectations,
            profile,
            module,
            pack: flags.pack.then(|| module::pack(module)).transpose()?,
        };
        runs.extend(suite.run().with_context(|| format!("profile {profile}"))?);
    }
    for run in &runs {
        print!("{}", run.summary());
    }
    if let Some(path) = &flags.junit {
        report::write_junit(path, &runs)?;
    }
    if let Some(path) = &flags.json {
        report::write_json(path, &runs)?;
    }
    let fault = |run: &Run| {
        let faults = run.faults();
        (!faults.is_empty()).then(|| format!("profile {}:\n  {}", run.profile, faults.join("\n  ")))
    };
    let faults: Vec<String> = runs.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        bail!("FATE is not as expected\n{}", faults.join("\n"));
    }
    Ok(())
}

/// Where one profile's tests work and what is kept of them.
fn folder(project: &Project, profile: &str) -> PathBuf {
    project.cache.path("fate", profile)
}

/// FATE on one module.
struct Suite<'a> {
    project: &'a Project,
    flags: &'a Fate,
    expectations: &'a Expectations,
    profile: &'a str,
    module: &'a Path,
    pack: Option<Pack>,
}

impl Suite<'_> {
    /// Runs the tests; nothing comes of it where they are only to be listed.
    fn run(&self) -> Result<Option<Run>> {
        let started = Instant::now();
        let jobs = xtask::flags::jobs(self.flags.jobs)?;
        let (made, tree_key) = self.make_tree(jobs)?;
        let folder = folder(self.project, self.profile);
        let _lock = self.project.cache.lock(&format!("fate-{}", self.profile))?;
        fs::create_dir_all(folder.join("logs"))?;
        let identity = Identity {
            format_version: FORMAT_VERSION,
            module_sha256: digest::file(self.module)?,
            pack_sha256: self.pack.as_ref().map(|pack| digest::file(pack.path())).transpose()?,
            tree: tree_key,
            engine_sha256: digest::file(&process::own_program()?)?,
            samples: self.flags.samples.as_ref().map(|path| path.display().to_string()),
        };
        let results = folder.join("results");
        let earlier = match self.flags.anew {
            true => None,
            false => Journal::read(&results, &identity),
        };
        let tree_folder = folder.join("tree");
        if earlier.is_none() {
            Tree::make(&tree_folder, &made, self.module, &results)?;
        }
        let samples = self.flags.samples.as_deref();
        let tree = Tree::open(&tree_folder, self.target_exec(&folder)?, samples)?;
        let tests = self.choose(self.listed(&tree)?)?;
        if self.flags.list {
            for test in &tests {
                println!("{} {}", test.name, test.group);
            }
            return Ok(None);
        }
        // What has passed is kept, and in the journal even where it wasn't asked for this time.
        let is_passed = |finished: &Finished| finished.outcome == Outcome::Passed;
        let kept: Vec<Finished> = earlier.into_iter().flatten().filter(is_passed).collect();
        let journal = Journal::create(&results, &identity, &kept)?;
        self.make_inputs(&tree, &tests, &folder, jobs)?;
        let ended = self.run_tests(&tree, &tests, kept, journal, &folder.join("logs"), jobs)?;
        let known = self.expectations.known_failures(self.profile).into_iter();
        Ok(Some(Run {
            profile: self.profile.to_owned(),
            module_sha256: identity.module_sha256,
            seconds: started.elapsed().as_secs_f64(),
            tests: ended,
            known_failures: known.map(|(name, cause)| (name.to_owned(), cause.to_owned())).collect(),
        }))
    }

    /// Compiles the programs that tests need, and makes the files.
    fn make_inputs(&self, tree: &Tree, tests: &[Test], folder: &Path, jobs: usize) -> Result<()> {
        let mut files: Vec<String> = tests.iter().flat_map(|test| test.files.iter().cloned()).collect();
        files.sort();
        files.dedup();
        let progress = Progress::new();
        self.compile(tree, &files, &progress)?;
        let work = progress.start(&format!("{} inputs of tests", self.profile));
        let making = Instant::now();
        tree.make_files(&files, jobs, &folder.join("logs/inputs.log"))?;
        work.finish("done", Some(making.elapsed()));
        Ok(())
    }

    /// Runs what has not passed before; returns all results, sorted.
    fn run_tests(
        &self,
        tree: &Tree,
        tests: &[Test],
        kept: Vec<Finished>,
        mut journal: Journal,
        logs: &Path,
        jobs: usize,
    ) -> Result<Vec<Finished>> {
        let names: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        let is_chosen = |finished: &Finished| names.contains(finished.name.as_str());
        let passed: Vec<Finished> = kept.into_iter().filter(is_chosen).collect();
        let known = self.expectations.known_failures(self.profile);
        let asked_for_all = self.flags.filter.is_empty() && !self.flags.slice;
        if let Some(unknown) = known.keys().find(|name| asked_for_all && !names.contains(*name)) {
            return Err(usage(format!(
                "conformance/fate.toml: profile {} has no test {unknown}",
                self.profile
            ))
            .into());
        }
        let counter = Progress::new().count(&format!("{} FATE", self.profile), tests.len(), passed.len());
        let limit = self.limit();
        let mut ended = passed.clone();
        schedule::run(
            tests,
            &passed,
            jobs,
            |test| run_test(tree, test, limit, logs),
            |finished| {
                journal.add(&finished)?;
                let note = match (finished.outcome, known.contains_key(finished.name.as_str())) {
                    (Outcome::Passed, _) => None,
                    (_, true) if finished.differs => Some(format!("known failure {}", finished.name)),
                    _ => Some(format!("FAILED {}: {}", finished.name, finished.message)),
                };
                counter.one(note);
                ended.push(finished);
                Ok(())
            },
        )?;
        counter.finish();
        ended.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ended)
    }

    /// FATE's tree without the module, from the cache or made now, and its key.
    fn make_tree(&self, jobs: usize) -> Result<(PathBuf, String)> {
        let fetcher = self.project.fetcher(&self.flags.origins);
        let tools = Tools::find(self.project, &fetcher)?;
        let plan = self.project.fate_plan(self.profile, &tools.facts)?;
        let executor = Executor {
            project: self.project,
            fetcher: &fetcher,
            tools: &tools,
            jobs,
        };
        let results = executor.run(&plan, &Progress::new())?;
        let step = plan.steps.last().context("a plan has steps")?;
        Ok((results.folder(&step.name)?.to_owned(), step.key.clone()))
    }

    fn limit(&self) -> Duration {
        let default = Duration::try_from_secs_f64(self.expectations.test_seconds).unwrap_or(Duration::MAX);
        self.flags.test_seconds.unwrap_or(default)
    }

    /// What FATE puts before each program.
    fn target_exec(&self, folder: &Path) -> Result<String> {
        let own = process::own_program()?;
        let mut words = vec![own.display().to_string(), "program".into()];
        words.extend(["--compiled".into(), folder.join("compiled").display().to_string()]);
        words.extend(["--owner".into(), std::process::id().to_string()]);
        words.extend(["--limit".into(), self.limit().as_secs_f64().to_string()]);
        if let Some(samples) = &self.flags.samples {
            words.extend(["--read".into(), samples.canonicalize()?.display().to_string()]);
        }
        if let Some(pack) = &self.pack {
            words.extend(["--pack".into(), module::pack_record(pack).display().to_string()]);
        }
        words.push("--".into());
        Ok(words.join(" "))
    }

    /// All tests that there are, and none of them missing.
    fn listed(&self, tree: &Tree) -> Result<Vec<Test>> {
        let described = tree.describe()?;
        let tests = list::parse(&described)?;
        let left_out = list::left_out(&described, &tests);
        let faults = self.expectations.faults_of_list(self.profile, &tests, &left_out);
        if !faults.is_empty() {
            bail!(
                "FATE's tests are not those of conformance/fate.toml\n  {}",
                faults.join("\n  ")
            );
        }
        Ok(tests)
    }

    fn choose(&self, tests: Vec<Test>) -> Result<Vec<Test>> {
        let chosen = if self.flags.slice {
            self.expectations.slice(&tests)?
        } else if self.flags.filter.is_empty() {
            return Ok(tests);
        } else {
            list::filter(&tests, &self.flags.filter)?
        };
        Ok(list::with_what_they_need(tests, &chosen))
    }

    /// Compiles the programs that tests need, so that tests that start together do not all compile one.
    fn compile(&self, tree: &Tree, files: &[String], progress: &Progress) -> Result<()> {
        let compiled = module::compiled_folder(self.project, self.profile);
        let programs = tree.needed_programs(files);
        let counter = progress.count(&format!("{} programs", self.profile), programs.len(), 0);
        for program in programs {
            module::load(&tree.folder.join(program), &compiled).with_context(|| format!("cannot compile {program}"))?;
            counter.one(None);
        }
        counter.finish();
        Ok(())
    }
}

fn run_test(tree: &Tree, test: &Test, limit: Duration, logs: &Path) -> Result<Finished> {
    let log = logs.join(format!("{}.log", test.name));
    let started = Instant::now();
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = tree.test(&test.recipe).run_within(limit, file.try_clone()?, file)?;
    let mut differs = false;
    let (outcome, message) = match status {
        Some(status) if status.success() => (Outcome::Passed, String::new()),
        Some(status) => {
            let told = process::last_lines(&log)?;
            differs = status.code() == Some(EXIT_CODE_DIFFERS) && shows_difference(&fs::read(&log)?);
            let last = told.lines().rev().take(3).collect::<Vec<_>>();
            let last: Vec<&str> = last.into_iter().rev().collect();
            let message = format!("{status}; {} ends with: {}", log.display(), last.join(" | "));
            (Outcome::Failed, message)
        }
        None => (
            Outcome::TimedOut,
            format!(
                "killed after {} s; its output is in {}",
                limit.as_secs_f64(),
                log.display()
            ),
        ),
    };
    Ok(Finished {
        name: test.name.clone(),
        group: test.group.clone(),
        outcome,
        seconds: started.elapsed().as_secs_f64(),
        differs,
        message,
    })
}

/// What `diff` ends with where files differ. A program that fails has another one where it crashes or is ended.
const EXIT_CODE_DIFFERS: i32 = 1;

/// Whether FATE's script printed the difference to a reference, and of the programs nothing: what they say goes elsewhere.
fn shows_difference(log: &[u8]) -> bool {
    log.starts_with(b"--- ./tests/ref/") && log.windows(4).any(|bytes| bytes == b"\n@@ ")
}
