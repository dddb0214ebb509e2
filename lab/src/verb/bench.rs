//! `cargo xtask bench`: how fast modules are, beside FFmpeg for this machine.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::compare::{self, Verdict};
use crate::bench::guest_profile;
use crate::bench::measure::Request;
use crate::bench::prepare::{self, Prepared};
use crate::bench::samples::{Journal, Line, Measured, OutputFile, Run, Sample};
use crate::bench::workloads::{Case, Round, Runner, Workloads};
use crate::bench::{figures, quality, report};
use xtask::digest;
use xtask::error::usage;
use xtask::flags::Bench;
use xtask::process::{self, Invocation};
use xtask::progress::Progress;
use xtask::project::Project;
use xtask::recipe::profile::Recipe;
use xtask::recipe::set;

/// A job that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(400);
const QUICK_LIMIT: Duration = Duration::from_secs(60);

/// The samples that the report is of.
const FULL: &str = "bench/results/full.jsonl";

pub fn run(project: &Project, flags: &Bench) -> Result<()> {
    if let [old, new] = &flags.compare[..] {
        return compare_runs(project, old, new);
    }
    let workloads = Workloads::load(project)?;
    let samples = flags.samples.clone().unwrap_or_else(|| match flags.quick {
        // Of no interest to anyone else.
        true => project.cache.path("bench", "quick.jsonl"),
        false => project.root.join(FULL),
    });
    if flags.report {
        return report::write(&project.root, &workloads, &Run::load(&samples)?);
    }
    let cores = thread::available_parallelism()?.get();
    let rounds = workloads.rounds(flags.quick, &flags.filter, cores)?;
    if flags.list {
        let cases: BTreeSet<String> = rounds
            .iter()
            .flat_map(|round| &round.cases)
            .map(Case::describe)
            .collect();
        cases.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    let progress = Progress::new();
    let fetcher = project.fetcher(&flags.origins);
    let prepared = Prepared::new(project, &fetcher, &workloads, &rounds, flags.quick, &progress)?;
    let (journal, run) = Journal::open(&samples, &prepared.header, flags.anew || flags.quick)?;
    let mut bench = Bencher {
        project,
        workloads: &workloads,
        prepared,
        journal,
        run,
    };
    bench.rounds(&rounds, &progress)?;
    if !flags.quick && flags.filter.is_empty() {
        for profile in guest_profile::measure(project, &fetcher, &workloads, &bench.prepared, &bench.run, &progress)? {
            bench.journal.write(&Line::GuestProfile(profile))?;
        }
    }
    print!("{}", figures::table(&bench.run));
    println!("samples: {}", samples.display());
    check_budgets(project, &bench.run)?;
    bench.check_unable(&rounds)
}

struct Bencher<'a> {
    project: &'a Project,
    workloads: &'a Workloads,
    prepared: Prepared,
    journal: Journal,
    run: Run,
}

impl Bencher<'_> {
    fn rounds(&mut self, rounds: &[Round], progress: &Progress) -> Result<()> {
        let done = self.run.done();
        let is_done = |case: &Case, round: &Round| done.contains(&(case.clone(), round.number));
        let total = rounds.iter().map(|round| round.cases.len()).sum();
        let before = rounds
            .iter()
            .flat_map(|round| round.cases.iter().filter(|case| is_done(case, round)));
        let counter = progress.count("bench", total, before.count());
        for round in rounds {
            for case in &round.cases {
                if is_done(case, round) {
                    continue;
                }
                if !self.run.unable.contains_key(case) {
                    self.case(case, round).with_context(|| case.describe())?;
                }
                let reason = self
                    .run
                    .unable
                    .get(case)
                    .filter(|_| round.number == 0 && !round.warm_up);
                counter.one(reason.map(|reason| format!("cannot: {}: {reason}", case.describe())));
            }
        }
        counter.finish();
        Ok(())
    }

    fn case(&mut self, case: &Case, round: &Round) -> Result<()> {
        let line = match self.measure(case)? {
            Ok(_) if round.warm_up => return Ok(()),
            Ok((measured, output)) => {
                let sample = Sample {
                    case: case.clone(),
                    round: round.number,
                    measured,
                    output,
                };
                self.run.samples.push(sample.clone());
                Line::Sample(sample)
            }
            Err(reason) => {
                self.run.unable.insert(case.clone(), reason.clone());
                Line::Unable {
                    case: case.clone(),
                    reason,
                }
            }
        };
        self.journal.write(&line)
    }

    /// One sample, or why the runner can't do it.
    fn measure(&mut self, case: &Case) -> Result<Result<(Measured, Option<OutputFile>), String>> {
        let subject = match self.prepared.subject(&case.runner, case.cold) {
            Ok(subject) => subject,
            Err(reason) => return Ok(Err(reason)),
        };
        let workload = &self.workloads.workload[&case.workload];
        let cores = self.prepared.header.host.cores;
        let scratch = self.project.cache.scratch()?;
        // A batch is twice as many jobs as there are cores, however many of them run at a time.
        let jobs = if case.instances.is_some() { 2 * cores } else { 1 };
        let mut folders = Vec::new();
        for job in 0..jobs {
            let folder = scratch.path().join(job.to_string());
            fs::create_dir(&folder)?;
            for name in &workload.inputs {
                prepare::give(&self.prepared.inputs[name], &folder, name)?;
            }
            folders.push(folder);
        }
        let threads = if case.runner == Runner::NativeAll { cores } else { 1 };
        let request = Request {
            subject,
            folders,
            at_a_time: case.instances.unwrap_or(1),
            arguments: self.workloads.command(case, threads),
        };
        let printed = scratch.path().join("printed");
        let log = scratch.path().join("log");
        let invocation = Invocation::new(process::own_program()?.display().to_string(), scratch.path())
            .arguments(["sample".to_owned(), serde_json::to_string(&request)?]);
        let limit = if self.prepared.header.quick { QUICK_LIMIT } else { LIMIT };
        match invocation.run_within(limit, File::create(&printed)?, File::create(&log)?)? {
            None => return Ok(Err(format!("it was killed after {} s", limit.as_secs()))),
            Some(status) if !status.success() => return Ok(Err(reason(&fs::read_to_string(&log)?))),
            Some(_) => {}
        }
        let measured = serde_json::from_str(&fs::read_to_string(&printed)?).context("a measurement")?;
        let Some(name) = &workload.output else {
            return Ok(Ok((measured, None)));
        };
        let path = request.folders[0].join(name);
        if !path.is_file() {
            return Ok(Err(format!("it made no {name}")));
        }
        let output = OutputFile {
            size_bytes: fs::metadata(&path)?.len(),
            sha256: digest::file(&path)?,
        };
        self.quality(case, &path, &output.sha256)?;
        Ok(Ok((measured, Some(output))))
    }

    /// A module that is there does all that its recipe promises.
    fn check_unable(&self, rounds: &[Round]) -> Result<()> {
        let mut faults = BTreeSet::new();
        for case in rounds.iter().flat_map(|round| &round.cases) {
            let (Some(profile), Some(reason)) = (case.runner.profile(), self.run.unable.get(case)) else {
                continue;
            };
            // What is not built has been said.
            if self.prepared.subject(&case.runner, case.cold).is_ok()
                && !lacks_encoder(&self.project.recipe(profile)?, &self.workloads.command(case, 1))
            {
                faults.insert(format!("{}: {reason}", case.describe()));
            }
        }
        if !faults.is_empty() {
            let faults: Vec<String> = faults.into_iter().collect();
            bail!(
                "modules cannot do what they are promised to do; --anew measures it again\n  {}",
                faults.join("\n  ")
            );
        }
        Ok(())
    }

    fn quality(&mut self, case: &Case, output: &Path, sha256: &str) -> Result<()> {
        let workload = &self.workloads.workload[&case.workload];
        let (Some(source), Some(reference)) = (&workload.source, &workload.reference) else {
            return Ok(());
        };
        if self.run.quality.contains_key(sha256) {
            return Ok(());
        }
        let source = &self.prepared.inputs[source];
        let ffmpeg = self.prepared.native.join("ffmpeg");
        let quality = quality::measure(&ffmpeg, source, reference, output, sha256)?;
        self.run.quality.insert(sha256.to_owned(), quality.clone());
        self.journal.write(&Line::Quality(quality))
    }
}

/// The line of a failed measurement's output that names the reason.
fn reason(log: &str) -> String {
    // Node.js says its version after what went wrong.
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with("Node.js v");
    let lines = || log.lines().map(str::trim).filter(is_said);
    let is_telling = |line: &&str| {
        let begins = ["error: it ended with", "RuntimeError:", "Error:"];
        line.contains("Unknown encoder") || begins.iter().any(|begin| line.starts_with(begin))
    };
    let telling = lines().find(is_telling);
    let text = telling.or_else(|| lines().next_back()).unwrap_or("it said nothing");
    text.trim_start_matches("error: ").to_owned()
}

/// Whether a command names an encoder that the modules of a recipe do not have.
fn lacks_encoder(recipe: &Recipe, command: &[String]) -> bool {
    const KIND: &str = "encoders";
    let components = &recipe.components;
    let is_forbidden = |name: &str| components.forbids.get(KIND).is_some_and(|names| names.contains(name));
    let is_required = |name: &str| {
        let mut required = components.requires.get(KIND).into_iter().flatten();
        required.any(|required| set::fits(required, name))
    };
    command.windows(2).any(|words| {
        let [option, name] = words else { return false };
        let is_named = matches!(option.as_str(), "-c:v" | "-c:a") && name != "copy";
        is_named && (is_forbidden(name) || components.is_exact && !is_required(name))
    })
}

/// Sizes are exact, so each is checked against its profile's budget as it is.
fn check_budgets(project: &Project, run: &Run) -> Result<()> {
    let mut faults = Vec::new();
    let modules = run.header.modules.iter();
    // A pack's record has its budget.
    for (name, sizes) in modules.filter(|(name, _)| matches!(Runner::from((*name).clone()), Runner::Module(_))) {
        let budget = project.recipe(name)?.size_budget_bytes;
        // What is not shipped has none.
        let Some(budget) = budget else { continue };
        for (form, size_bytes, budget_bytes) in [
            ("", sizes.size_bytes, budget.raw),
            (", gzip,", sizes.gzip_bytes, budget.gzip),
        ] {
            if size_bytes > budget_bytes {
                faults.push(format!(
                    "{name}{form} has {size_bytes} bytes, and its budget is {budget_bytes}"
                ));
            }
        }
    }
    if !faults.is_empty() {
        bail!("modules are over their budgets\n  {}", faults.join("\n  "));
    }
    Ok(())
}

fn compare_runs(project: &Project, old: &Path, new: &Path) -> Result<()> {
    let (old, new) = (Run::load(old)?, Run::load(new)?);
    if old.header.quick != new.header.quick {
        return Err(usage("one is of a quick run, the other of a full one").into());
    }
    let compared = compare::compare(&old, &new);
    print!("{}", compare::text(&old, &new, &compared));
    check_budgets(project, &new)?;
    let faults = compare::faults(&old, &new, &compared);
    if !faults.is_empty() {
        bail!("the runs cannot be compared\n  {}", faults.join("\n  "));
    }
    let slower = compared.iter().filter(|one| one.verdict == Verdict::Slower).count();
    if slower > 0 {
        bail!("cases that became slower: {slower}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_recipe_lacks_excuses_a_module() {
        let project = Project::open(xtask::project::root().unwrap()).unwrap();
        let lacks = |profile: &str, command: &str| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            lacks_encoder(&project.recipe(profile).unwrap(), &words)
        };
        let x264 = "ffmpeg -i in -c:v libx264 -c:a aac out.mp4";
        assert!(lacks("o3-lgpl", x264) && !lacks("o3-gpl", x264));
        let opus = "ffmpeg -i in -c:a libopus out.opus";
        assert!(lacks("oz-lgpl-lean", opus) && !lacks("oz-lgpl-audio", opus));
        assert!(!lacks("oz-lgpl-probe", "ffmpeg -i in -c copy out.mp4"));
    }
}
