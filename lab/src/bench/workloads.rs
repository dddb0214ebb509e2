//! Reads and checks bench/workloads.toml, whose head explains the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::filter;
use crate::media::Input;
use xtask::data::read_toml;
use xtask::error::usage;
use xtask::project::Project;

const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workloads {
    format_version: u32,
    pub input: Vec<Input>,
    pub encoding: BTreeMap<String, String>,
    pub workload: BTreeMap<String, Workload>,
    pub series: Vec<Series>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    pub title: String,
    pub inputs: Vec<String>,
    pub command: String,
    pub output: Option<String>,
    pub seconds: Option<f64>,
    pub source: Option<String>,
    pub reference: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub name: String,
    pub workloads: Vec<String>,
    #[serde(default)]
    pub encodings: Vec<String>,
    pub runners: Vec<Runner>,
    pub rounds: u32,
    #[serde(default = "yes")]
    pub warm_up: bool,
    #[serde(default)]
    pub cold: bool,
    #[serde(default)]
    pub instances: Vec<String>,
    pub quick: Option<u32>,
    #[serde(default)]
    pub report: Vec<Part>,
}

/// A table or plot of docs/performance.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Profiles,
    SizeAndSpeed,
    Encodings,
    Work,
    Instances,
    Cores,
    Start,
    Levers,
}

fn yes() -> bool {
    true
}

/// A program or engine that runs commands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Runner {
    /// FFmpeg for this machine, with assembly, on one core.
    Native,
    /// The same on all cores.
    NativeAll,
    /// FFmpeg for this machine, without assembly, on one core.
    NativeC,
    /// @ffmpeg/core in node.
    Peer,
    /// The module of a profile, in our runtime.
    Module(String),
    /// The pack of a profile's module for this machine, by its name: the profile's with [`PACK`] after it.
    Pack(String),
    /// The module of a profile on all cores, by its name: the profile's with [`ALL`] after it.
    All(String),
}

/// What the name of a pack's runner has after its profile's.
const PACK: &str = ".pack";

/// What the name of a runner on all cores has after its profile's.
const ALL: &str = ".all";

impl From<String> for Runner {
    fn from(name: String) -> Runner {
        match name.as_str() {
            "native" => Runner::Native,
            "native-all" => Runner::NativeAll,
            "native-c" => Runner::NativeC,
            "peer" => Runner::Peer,
            _ if name.ends_with(PACK) => Runner::Pack(name),
            _ if name.ends_with(ALL) => Runner::All(name),
            _ => Runner::Module(name),
        }
    }
}

impl From<Runner> for String {
    fn from(runner: Runner) -> String {
        runner.name().to_owned()
    }
}

impl Runner {
    pub fn name(&self) -> &str {
        match self {
            Runner::Native => "native",
            Runner::NativeAll => "native-all",
            Runner::NativeC => "native-c",
            Runner::Peer => "peer",
            Runner::Module(name) | Runner::Pack(name) | Runner::All(name) => name,
        }
    }

    /// The profile whose module it runs.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Runner::Module(name) => Some(name),
            Runner::Pack(name) => name.strip_suffix(PACK),
            Runner::All(name) => name.strip_suffix(ALL),
            _ => None,
        }
    }

    /// The pack of the same module.
    pub fn pack(&self) -> Option<Runner> {
        Some(Runner::Pack(format!("{}{PACK}", self.profile()?)))
    }

    /// The same module on all cores.
    pub fn all(&self) -> Option<Runner> {
        Some(Runner::All(format!("{}{ALL}", self.profile()?)))
    }
}

/// One thing to measure, as often as its series says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    pub series: String,
    pub workload: String,
    pub encoding: Option<String>,
    pub runner: Runner,
    /// The number of jobs at a time in a batch; none for one job without a batch.
    pub instances: Option<usize>,
    /// The module is compiled first, and that is measured, too.
    pub cold: bool,
}

impl Case {
    /// Everything but the runner, as text.
    pub fn work(&self) -> String {
        let mut text = self.workload.clone();
        if let Some(encoding) = &self.encoding {
            text += &format!(", {encoding}");
        }
        if let Some(instances) = self.instances {
            text += &format!(", {instances} at a time");
        }
        text
    }

    pub fn describe(&self) -> String {
        format!("{}: {} on {}", self.series, self.work(), self.runner.name())
    }
}

/// One round of one series, in order.
#[derive(Debug)]
pub struct Round {
    pub number: u32,
    /// Its samples are not kept.
    pub warm_up: bool,
    pub cases: Vec<Case>,
}

impl Workloads {
    pub fn path(root: &Path) -> std::path::PathBuf {
        root.join("bench/workloads.toml")
    }

    pub fn load(project: &Project) -> Result<Workloads> {
        let path = Workloads::path(&project.root);
        let workloads: Workloads = read_toml(&path)?;
        match workloads.fault(&|name| project.recipe(name).is_ok()) {
            Some(fault) => Err(usage(format!("{}: {fault}", path.display())).into()),
            None => Ok(workloads),
        }
    }

    fn fault(&self, is_profile: &dyn Fn(&str) -> bool) -> Option<String> {
        if self.format_version != FORMAT_VERSION {
            return Some(format!(
                "format_version {} is not {FORMAT_VERSION}",
                self.format_version
            ));
        }
        let mut inputs = BTreeSet::new();
        for input in &self.input {
            if let Some(fault) = input.fault() {
                return Some(fault);
            }
            inputs.insert(input.name.as_str());
        }
        for (name, workload) in &self.workload {
            if let Some(input) = workload.inputs.iter().find(|input| !inputs.contains(input.as_str())) {
                return Some(format!("workload.{name}: there is no input {input}"));
            }
            if !matches!(workload.command.split(' ').next(), Some("ffmpeg" | "ffprobe")) {
                return Some(format!("workload.{name} runs something else than ffmpeg and ffprobe"));
            }
            if workload.source.is_some() != workload.reference.is_some() {
                return Some(format!("workload.{name}: source and reference go together"));
            }
        }
        let mut names = BTreeSet::new();
        for series in &self.series {
            let of = |message: String| Some(format!("series {}: {message}", series.name));
            if !names.insert(&series.name) {
                return of("it stands there twice".into());
            }
            for name in &series.workloads {
                let Some(workload) = self.workload.get(name) else {
                    return of(format!("there is no workload.{name}"));
                };
                if workload.command.contains("{encoding}") == series.encodings.is_empty() {
                    return of(format!("workload.{name} and encodings do not go together"));
                }
            }
            if let Some(name) = series.encodings.iter().find(|name| !self.encoding.contains_key(*name)) {
                return of(format!("there is no encoding \"{name}\""));
            }
            for runner in &series.runners {
                if let Some(profile) = runner.profile()
                    && !is_profile(profile)
                {
                    return of(format!(
                        "there is no runner {profile}; the runners are native, native-all, native-c, peer, profiles, \
                         PROFILE{PACK}, and PROFILE{ALL}"
                    ));
                }
            }
            if let Some(word) = series.instances.iter().find(|word| instances(word, 2).is_none()) {
                return of(format!(
                    "instances \"{word}\" is neither a number, `cores` nor `2x cores`"
                ));
            }
        }
        None
    }

    /// All rounds of all series that were asked for, in the order in which they are measured. A filter is a glob that
    /// names series.
    pub fn rounds(&self, quick: bool, filters: &[String], cores: usize) -> Result<Vec<Round>> {
        let mut chosen: Vec<&Series> = self.series.iter().collect();
        if !filters.is_empty() {
            let known: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
            let otherwise = format!("the series are: {}", known.join(", "));
            let names = filter::matching(known.iter().copied(), filters, &otherwise)?;
            chosen.retain(|series| names.contains(series.name.as_str()));
        }
        let mut rounds = Vec::new();
        for series in chosen {
            let count = if quick {
                series.quick.unwrap_or(0)
            } else {
                series.rounds
            };
            if count > 0 && series.warm_up {
                rounds.push(Round {
                    number: 0,
                    warm_up: true,
                    cases: series.cases(quick, 0, cores),
                });
            }
            rounds.extend((0..count).map(|number| Round {
                number,
                warm_up: false,
                cases: series.cases(quick, number, cores),
            }));
        }
        Ok(rounds)
    }

    /// The words of a case's command, the program first.
    pub fn command(&self, case: &Case, threads: usize) -> Vec<String> {
        let encoding = case.encoding.as_ref().map_or("", |name| self.encoding[name].as_str());
        self.workload[&case.workload]
            .command
            .replace("{encoding}", encoding)
            .replace("{threads}", &threads.to_string())
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }
}

fn instances(word: &str, cores: usize) -> Option<usize> {
    match word {
        "cores" => Some(cores),
        "2x cores" => Some(2 * cores),
        number => number.parse().ok().filter(|&number| number > 0),
    }
}

impl Series {
    /// In each round another runner goes first, since the first may find the machine in another state than the rest.
    fn cases(&self, quick: bool, round: u32, cores: usize) -> Vec<Case> {
        let mut runners = self.runners.clone();
        if quick {
            let first = runners[0].clone();
            runners.retain(|runner| *runner == first || matches!(runner, Runner::Native | Runner::Peer));
        }
        let shift = round as usize % runners.len();
        runners.rotate_left(shift);
        let optional = |words: &[String]| -> Vec<Option<String>> {
            match words {
                [] => vec![None],
                words => words.iter().cloned().map(Some).collect(),
            }
        };
        let mut at_a_time: Vec<Option<usize>> = optional(&self.instances)
            .iter()
            .map(|word| word.as_ref().and_then(|word| instances(word, cores)))
            .collect();
        // On a machine of two cores, `2` and `cores` are the same.
        at_a_time.sort();
        at_a_time.dedup();
        let mut cases = Vec::new();
        for workload in &self.workloads {
            for encoding in optional(&self.encodings) {
                for &instances in &at_a_time {
                    cases.extend(runners.iter().map(|runner| Case {
                        series: self.name.clone(),
                        workload: workload.clone(),
                        encoding: encoding.clone(),
                        runner: runner.clone(),
                        instances,
                        cold: self.cold,
                    }));
                }
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Workloads {
        Workloads::load(&Project::open(xtask::project::root().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn each_round_has_every_runner_next_to_native() {
        let rounds = ours().rounds(false, &["builds-x264".into()], 2).unwrap();
        assert_eq!(rounds.iter().filter(|round| round.warm_up).count(), 1);
        for round in &rounds {
            assert!(round.cases.iter().any(|case| case.runner == Runner::Native));
        }
        assert_ne!(rounds[1].cases[0].runner, rounds[2].cases[0].runner);
    }

    #[test]
    fn cores_decide_how_many_run_at_a_time() {
        let at_a_time = |cores| {
            let rounds = ours().rounds(false, &["instances".into()], cores).unwrap();
            let counts: BTreeSet<_> = rounds[0].cases.iter().filter_map(|case| case.instances).collect();
            counts.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(at_a_time(2), [1, 2, 4]);
        assert_eq!(at_a_time(8), [1, 2, 8, 16]);
    }

    #[test]
    fn faults_are_named() {
        let project = Project::open(xtask::project::root().unwrap()).unwrap();
        let fault = |change: &dyn Fn(&mut Workloads)| {
            let mut workloads = ours();
            change(&mut workloads);
            workloads
                .fault(&|name| project.recipe(name).is_ok())
                .unwrap_or_default()
        };
        assert_eq!(fault(&|_| ()), "");
        assert!(fault(&|all| all.series[0].runners.push(Runner::Module("o4-gpl".into()))).contains("no runner o4-gpl"));
        assert!(fault(&|all| all.series[0].encodings.clear()).contains("do not go together"));
        assert!(fault(&|all| all.series[0].encodings.push("x265".into())).contains("no encoding \"x265\""));
        assert!(fault(&|all| all.series[0].workloads.push("x".into())).contains("no workload.x"));
        assert!(fault(&|all| all.series[0].instances.push("many".into())).contains("many"));
    }
}
