//! The functions in which a module spends its time, by node's profiler, which needs no rights and is there where the
//! peer is measured. The module is that of the step `optimise`, the same code as in artifacts/ and with its names.
//! Functions that the build has inlined count as their callers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::figures::{self, Row};
use super::prepare::{Prepared, give};
use super::samples::{FunctionShare, GuestProfile, Run};
use super::workloads::{Case, Runner, Workloads};
use xtask::build::execute::Executor;
use xtask::build::facts::Tools;
use xtask::inputs::fetch::Fetcher;
use xtask::process::{self, Invocation};
use xtask::progress::Progress;
use xtask::project::Project;

const WORKLOADS: usize = 3;

/// As many as anyone reads.
const FUNCTIONS: usize = 15;

/// Longer work has no other profile, and only more of it.
const SECONDS_MAX: f64 = 30.0;

const LIMIT: Duration = Duration::from_secs(400);

/// The profiles that the run does not have yet, of the workloads that are furthest behind native.
pub fn measure(
    project: &Project,
    fetcher: &Fetcher,
    workloads: &Workloads,
    prepared: &Prepared,
    run: &Run,
    progress: &Progress,
) -> Result<Vec<GuestProfile>> {
    if !process::is_installed("node") {
        eprintln!("warning: no guest profiles without node");
        return Ok(Vec::new());
    }
    let mut profiles = Vec::new();
    for case in furthest_behind(run) {
        let is_of = |profile: &GuestProfile| profile.workload == case.workload && profile.encoding == case.encoding;
        if run.guest_profiles.iter().any(is_of) {
            continue;
        }
        let Runner::Module(name) = &case.runner else { continue };
        let module = named_module(project, fetcher, name, progress)?;
        let work = progress.start(&format!("bench guest profile {}", case.workload));
        profiles.push(profile(project, workloads, prepared, &case, &module)?);
        work.finish("done", None);
    }
    Ok(profiles)
}

fn furthest_behind(run: &Run) -> Vec<Case> {
    let is_fit = |row: &Row| {
        matches!(row.case.runner, Runner::Module(_))
            && row.case.instances.is_none()
            && row.wall_seconds.median < SECONDS_MAX
    };
    // The first module measured is the one that the others are compared with.
    let mut rows: Vec<Row> = figures::rows(run).into_iter().filter(is_fit).collect();
    let Some(base) = rows.first().map(|row| row.case.runner.clone()) else {
        return Vec::new();
    };
    rows.retain(|row| row.case.runner == base);
    let behind = |row: &Row| row.ratio.map_or(0.0, |ratio| ratio.median);
    rows.sort_by(|a, b| behind(b).total_cmp(&behind(a)));
    let mut seen = BTreeSet::new();
    let cases = rows.into_iter().map(|row| row.case);
    cases
        .filter(|case| seen.insert(case.workload.clone()))
        .take(WORKLOADS)
        .collect()
}

fn named_module(
    project: &Project,
    fetcher: &Fetcher,
    profile: &str,
    progress: &Progress,
) -> Result<std::path::PathBuf> {
    let tools = Tools::find(project, fetcher)?;
    let mut plan = project.plan(profile, &tools.facts)?;
    plan.stop_after("optimise")?;
    let executor = Executor {
        project,
        fetcher,
        tools: &tools,
        jobs: std::thread::available_parallelism()?.get(),
    };
    Ok(executor
        .run(&plan, progress)?
        .folder("optimise")?
        .join("optimised.wasm"))
}

fn profile(
    project: &Project,
    workloads: &Workloads,
    prepared: &Prepared,
    case: &Case,
    module: &Path,
) -> Result<GuestProfile> {
    let scratch = project.cache.scratch()?;
    let (folder, profiles) = (scratch.path().join("job"), scratch.path().join("profiles"));
    fs::create_dir(&folder)?;
    for name in &workloads.workload[&case.workload].inputs {
        give(&prepared.inputs[name], &folder, name)?;
    }
    let invocation = Invocation::new("node", &folder)
        // With these calls node 20 aborts now and then.
        .arguments(["--no-warnings", "--no-turbo-fast-api-calls", "--cpu-prof"])
        // All is compiled first and with all optimisation: otherwise functions show that a first, quick compiler made
        // slow, or that were running when another was compiled.
        .arguments(["--no-liftoff", "--no-wasm-lazy-compilation"])
        .arguments(["--cpu-prof-dir".to_owned(), profiles.display().to_string()])
        .arguments([&project.root.join("conformance/node.mjs"), module].map(|path| path.display().to_string()))
        .arguments(workloads.command(case, 1));
    let log = scratch.path().join("log");
    let file = File::create(&log)?;
    match invocation.run_within(LIMIT, file.try_clone()?, file)? {
        Some(status) if status.success() => {}
        _ => bail!(
            "{} could not be profiled\ncommand: {}\nits last lines:\n{}",
            case.describe(),
            invocation.pasteable(),
            process::last_lines(&log)?
        ),
    }
    let written = fs::read_dir(&profiles)?.next().context("node wrote no profile")??;
    let recorded: Recorded = serde_json::from_str(&fs::read_to_string(written.path())?).context("node's profile")?;
    Ok(GuestProfile {
        workload: case.workload.clone(),
        encoding: case.encoding.clone(),
        runner: case.runner.clone(),
        functions: recorded.shares(),
    })
}

/// The part of a `.cpuprofile` that is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    nodes: Vec<Node>,
    samples: Vec<u64>,
    time_deltas: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u64,
    call_frame: CallFrame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame {
    function_name: String,
    url: String,
}

impl Recorded {
    /// Shares of the time in WebAssembly. Compiling and host calls are not the module's time.
    fn shares(&self) -> Vec<FunctionShare> {
        let in_module = |node: &&Node| node.call_frame.url.starts_with("wasm:");
        let names: BTreeMap<u64, &str> = self
            .nodes
            .iter()
            .filter(in_module)
            .map(|node| (node.id, node.call_frame.function_name.as_str()))
            .collect();
        let mut times: BTreeMap<&str, i64> = BTreeMap::new();
        for (sample, time) in self.samples.iter().zip(&self.time_deltas) {
            if let Some(name) = names.get(sample) {
                *times.entry(name).or_default() += time.max(&0);
            }
        }
        let total: i64 = times.values().sum();
        let mut functions: Vec<FunctionShare> = times
            .into_iter()
            .map(|(name, time)| FunctionShare {
                name: name.to_owned(),
                share: time as f64 / total as f64,
            })
            .collect();
        functions.sort_by(|a, b| b.share.total_cmp(&a.share));
        functions.truncate(FUNCTIONS);
        functions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outside_of_the_module_does_not_count() {
        let recorded: Recorded = serde_json::from_str(
            r#"{"nodes": [{"id": 1, "callFrame": {"functionName": "satd", "url": "wasm://wasm/1"}},
                          {"id": 2, "callFrame": {"functionName": "sad", "url": "wasm://wasm/1"}},
                          {"id": 3, "callFrame": {"functionName": "start", "url": "node:wasi"}}],
                "samples": [3, 1, 1, 2], "timeDeltas": [1000, 30, 30, 20]}"#,
        )
        .unwrap();
        let shares: Vec<_> = recorded.shares().into_iter().map(|one| (one.name, one.share)).collect();
        assert_eq!(shares, [("satd".to_owned(), 0.75), ("sad".to_owned(), 0.25)]);
    }
}
