//! What came of a run: for people, for machines, and whether it is what was expected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::results::{Finished, Outcome};
use xtask::cache::write_file;

/// The tests of one profile.
#[derive(Debug, Serialize)]
pub struct Run {
    pub profile: String,
    pub module_sha256: String,
    pub seconds: f64,
    pub tests: Vec<Finished>,
    /// Test -> why it is known to fail.
    pub known_failures: BTreeMap<String, String>,
}

/// History of the format: 1, the first.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format_version: u32,
    runs: &'a [Run],
}

impl Run {
    fn is_known(&self, finished: &Finished) -> bool {
        self.excuse(finished).is_some()
    }

    /// The cause of a failure that is known. It is one of a comparison: a crash, a timeout and a test that was not run are
    /// something else.
    fn excuse(&self, finished: &Finished) -> Option<&str> {
        let cause = self.known_failures.get(&finished.name)?;
        (finished.outcome == Outcome::Failed && finished.differs).then_some(cause)
    }

    fn count(&self, chosen: impl Fn(&Finished) -> bool) -> usize {
        self.tests.iter().filter(|finished| chosen(finished)).count()
    }

    /// Everything that is not as it was expected.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for finished in &self.tests {
            let is_listed = self.known_failures.contains_key(&finished.name);
            match (finished.outcome, is_listed) {
                (Outcome::Passed, true) => faults.push(format!(
                    "{} passes: take it off the known failures in conformance/fate.toml",
                    finished.name
                )),
                (Outcome::Passed, false) => {}
                _ if self.is_known(finished) => {}
                (_, true) => faults.push(format!(
                    "{} is known to give something else, and not to fail so: {}",
                    finished.name, finished.message
                )),
                (_, false) => faults.push(format!("{}: {}", finished.name, finished.message)),
            }
        }
        faults
    }

    /// A line for each group and one for all.
    pub fn summary(&self) -> String {
        let groups: BTreeSet<&str> = self.tests.iter().map(|finished| finished.group.as_str()).collect();
        let mut text = format!(
            "{:<24}{:>8}{:>8}{:>8}{:>10}\n",
            self.profile, "passed", "failed", "known", "seconds"
        );
        let mut line = |name: &str, within: &dyn Fn(&Finished) -> bool| {
            let passed = self.count(|finished| within(finished) && finished.outcome == Outcome::Passed);
            let failed = |known: bool| {
                self.count(|finished| {
                    within(finished) && finished.outcome != Outcome::Passed && self.is_known(finished) == known
                })
            };
            let seconds: f64 = self
                .tests
                .iter()
                .filter(|finished| within(finished))
                .map(|finished| finished.seconds)
                .sum();
            text += &format!(
                "{name:<24}{passed:>8}{:>8}{:>8}{seconds:>10.1}\n",
                failed(false),
                failed(true)
            );
        };
        for group in groups {
            line(group, &|finished| finished.group == group);
        }
        line("all", &|_| true);
        text
    }
}

pub fn write_json(path: &Path, runs: &[Run]) -> Result<()> {
    let document = Document {
        format_version: FORMAT_VERSION,
        runs,
    };
    write_file(path, (serde_json::to_string_pretty(&document)? + "\n").as_bytes())
}

pub fn write_junit(path: &Path, runs: &[Run]) -> Result<()> {
    let mut report = Report::new("FATE");
    for run in runs {
        let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
        for finished in &run.tests {
            let is_listed = run.known_failures.contains_key(&finished.name);
            let status = match (finished.outcome, run.excuse(finished)) {
                (Outcome::Passed, _) if is_listed => failure("it passes, and stands on the list of known failures"),
                (Outcome::Passed, _) => TestCaseStatus::success(),
                (_, Some(cause)) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(format!("known failure: {cause}"));
                    status
                }
                (_, None) => failure(&finished.message),
            };
            let mut case = TestCase::new(&finished.name, status);
            case.set_time(Duration::try_from_secs_f64(finished.seconds).unwrap_or_default());
            let suite = suites.entry(&finished.group).or_insert_with(|| {
                let mut suite = TestSuite::new(format!("{} {}", run.profile, finished.group));
                suite.add_property(("module_sha256", run.module_sha256.as_str()));
                suite
            });
            suite.add_test_case(case);
        }
        report.add_test_suites(suites.into_values());
    }
    write_file(path, report.to_string()?.as_bytes())
}

fn failure(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let finished = |name: &str, outcome, message: &str| Finished {
            name: name.into(),
            group: name.split('-').nth(1).unwrap().into(),
            outcome,
            seconds: 1.5,
            differs: outcome == Outcome::Failed && message.starts_with("differs"),
            message: message.into(),
        };
        Run {
            profile: "o3-gpl".into(),
            module_sha256: "0123".into(),
            seconds: 3.0,
            tests: vec![
                finished("fate-a-1", Outcome::Passed, ""),
                finished("fate-a-2", Outcome::Failed, "differs <here>"),
                finished("fate-b-1", Outcome::Failed, "differs"),
                finished("fate-b-2", Outcome::Passed, ""),
                finished("fate-c-1", Outcome::TimedOut, "killed after 1 s"),
                finished("fate-c-2", Outcome::Failed, "a trap"),
                finished("fate-c-3", Outcome::NotRun, "it comes after another"),
            ],
            known_failures: ["fate-b-1", "fate-b-2", "fate-c-1", "fate-c-2", "fate-c-3"]
                .map(|name| (name, "no sockets"))
                .map(|(name, cause)| (name.to_owned(), cause.to_owned()))
                .into(),
        }
    }

    #[test]
    fn what_is_unexpected_is_a_fault() {
        let faults = run().faults();
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(faults[0].contains("fate-a-2: differs"));
        assert!(faults[1].contains("fate-b-2 passes: take it off"));
        // A known failure is one of a comparison, and no other.
        for (fault, wanted) in faults[2..].iter().zip(["c-1", "c-2", "c-3"]) {
            assert!(fault.contains(wanted) && fault.contains("not to fail so"), "{fault}");
        }
    }

    #[test]
    fn the_summary_counts_by_group() {
        let summary = run().summary();
        let numbers = |group: &str| -> Vec<String> {
            let line = summary
                .lines()
                .find(|line| line.split_whitespace().next() == Some(group))
                .unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        assert_eq!(numbers("a"), ["1", "1", "0", "3.0"]);
        assert_eq!(numbers("b"), ["1", "0", "1", "3.0"]);
        assert_eq!(numbers("c"), ["0", "3", "0", "4.5"]);
        assert_eq!(numbers("all"), ["2", "4", "1", "10.5"]);
    }

    #[test]
    fn machines_get_xml_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let (xml, json) = (folder.path().join("a.xml"), folder.path().join("a.json"));
        write_junit(&xml, &[run()]).unwrap();
        write_json(&json, &[run()]).unwrap();
        let xml = std::fs::read_to_string(xml).unwrap();
        for wanted in [
            "tests=\"7\"",
            "failures=\"5\"",
            "skipped=\"1\"",
            "differs &lt;here&gt;",
            "no sockets",
        ] {
            assert!(xml.contains(wanted), "`{wanted}` is not in {xml}");
        }
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
        assert_eq!(json["runs"][0]["tests"][4]["outcome"], "timed_out");
    }
}
