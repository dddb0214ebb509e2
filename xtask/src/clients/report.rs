//! What came of a client's suite with native FFmpeg and with the shims, beside each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::list::{Client, Fails, PLACE, Side};
use super::outcomes::{Outcome, Outcomes};
use crate::blocks;
use crate::cache::write_file;

/// A client's suite on both sides.
#[derive(Debug, Serialize, Deserialize)]
pub struct Compared {
    pub client: String,
    pub version: String,
    pub tests: usize,
    pub passed_native: usize,
    pub passed_afmpeg: usize,
    /// Tests that fail as the list says, with where and why.
    pub exceptions: Vec<Excepted>,
    /// Tests that failed at first and were run again.
    #[serde(default)]
    pub again: Vec<Again>,
    /// What is not as it was expected.
    pub faults: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Excepted {
    pub tests: Vec<String>,
    pub fails: String,
    pub reason: String,
}

/// A test that was run again, for a failure that the list does not expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    pub test: String,
    pub with: String,
    /// What was said of it the first time.
    pub message: String,
    pub passed: bool,
}

/// What is kept of a suite that was as expected, so that it is not run again while nothing of it has changed.
#[derive(Serialize, Deserialize)]
struct Kept {
    identity: String,
    compared: Compared,
}

/// What came of it before, with the same suite, module and programs.
pub fn kept(path: &Path, identity: &str) -> Option<Compared> {
    let kept: Kept = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (kept.identity == identity).then_some(kept.compared)
}

pub fn keep(path: &Path, identity: String, compared: Compared) -> Result<Compared> {
    let kept = Kept { identity, compared };
    write_file(path, &serde_json::to_vec(&kept)?)?;
    Ok(kept.compared)
}

const NOT_THERE: &str = "it was not run";

fn fault<'a>(outcomes: &'a Outcomes, test: &str) -> Option<&'a str> {
    match outcomes.get(test) {
        Some(Outcome::Passed) => None,
        Some(Outcome::Skipped) => Some("it was skipped"),
        Some(Outcome::Failed(message)) => Some(message),
        None => Some(NOT_THERE),
    }
}

/// Tests that failed, other than the list says.
fn unexpected<'a>(
    client: &'a Client,
    side: Side,
    outcomes: &'a Outcomes,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    let is_expected = move |test: &str| {
        let mut exceptions = client.exception.iter().filter(|exception| exception.names(test));
        exceptions.any(|exception| exception.wants_failure(side))
    };
    outcomes.iter().filter_map(move |(test, outcome)| match outcome {
        Outcome::Failed(message) if !is_expected(test) => Some((test, message)),
        _ => None,
    })
}

/// Whether a suite is to be run again: a failure that nothing explains may come of a busy machine.
pub fn has_unexplained(client: &Client, side: Side, outcomes: &Outcomes) -> bool {
    unexpected(client, side, outcomes).any(|(test, _)| !client.fails_sometimes(test))
}

/// The tests that are to be run by themselves: those that failed, and may where others run.
pub fn to_run_alone(client: &Client, side: Side, outcomes: &Outcomes) -> Vec<String> {
    let tests = unexpected(client, side, outcomes).map(|(test, _)| test);
    tests.filter(|test| client.fails_sometimes(test)).cloned().collect()
}

/// The tests that were run again, with what came of it.
pub fn again(client: &Client, side: Side, first: &Outcomes, last: &Outcomes) -> Vec<Again> {
    let again = |(test, message): (&String, &String)| Again {
        test: test.clone(),
        with: side.name().to_owned(),
        message: message.clone(),
        passed: fault(last, test).is_none(),
    };
    unexpected(client, side, first).map(again).collect()
}

impl Again {
    pub fn told(&self) -> String {
        let ended = if self.passed { "passed only" } else { "failed also" };
        format!(
            "{} {ended} when it was run again with {}: {}",
            self.test, self.with, self.message
        )
    }
}

/// A test passes that has passed in one of two runs.
pub fn better(first: Outcomes, second: Outcomes) -> Outcomes {
    let mut outcomes = first;
    for (test, outcome) in second {
        if outcome == Outcome::Passed || !outcomes.contains_key(&test) {
            outcomes.insert(test, outcome);
        }
    }
    outcomes
}

/// Compares what came of a client's tests.
pub fn compare(client: &Client, native: &Outcomes, afmpeg: &Outcomes) -> Compared {
    let mut faults = Vec::new();
    let names: BTreeMap<&String, ()> = native.keys().chain(afmpeg.keys()).map(|name| (name, ())).collect();
    // What a suite leaves out with native FFmpeg is no test here.
    let names: Vec<&String> = names
        .into_keys()
        .filter(|name| native.get(*name) != Some(&Outcome::Skipped))
        .collect();
    if names.is_empty() {
        faults.push("no test was run".into());
    }
    for name in &names {
        for (side, outcomes) in [(Side::Native, native), (Side::Afmpeg, afmpeg)] {
            let mut exceptions = client.exception.iter().filter(|exception| exception.names(name));
            let is_allowed = exceptions.any(|exception| exception.wants_failure(side));
            if let Some(message) = fault(outcomes, name).filter(|_| !is_allowed) {
                faults.push(format!("{name} fails with {}: {message}", side.name()));
            }
        }
    }
    let mut exceptions = Vec::new();
    for exception in &client.exception {
        let tests: Vec<String> = names
            .iter()
            .filter(|name| exception.names(name))
            .map(|name| (*name).clone())
            .collect();
        if tests.is_empty() {
            faults.push(format!(
                "{PLACE} excepts tests that there are none of: {}",
                exception.reason.trim()
            ));
        }
        for (side, outcomes) in [(Side::Native, native), (Side::Afmpeg, afmpeg)] {
            let passing = tests.iter().filter(|test| fault(outcomes, test).is_none());
            if exception.wants_failure(side) {
                let take_off = |test| format!("{test} passes with {}: take it off {PLACE}", side.name());
                faults.extend(passing.map(take_off));
            }
        }
        exceptions.push(Excepted {
            tests,
            fails: match exception.fails {
                Fails::Native => "native",
                Fails::Afmpeg => "afmpeg",
                Fails::Both => "both",
                Fails::Sometimes => "either, at times; not alone",
            }
            .to_owned(),
            reason: exception.reason.trim().to_owned(),
        });
    }
    let passed = |outcomes: &Outcomes| names.iter().filter(|name| fault(outcomes, name).is_none()).count();
    Compared {
        client: client.name.clone(),
        version: client.version.clone(),
        tests: names.len(),
        passed_native: passed(native),
        passed_afmpeg: passed(afmpeg),
        exceptions,
        again: Vec::new(),
        faults,
    }
}

/// The table of counts.
pub fn counts(compared: &[Compared]) -> String {
    let row = |one: &Compared| {
        vec![
            format!("{} {}", one.client, one.version),
            one.tests.to_string(),
            one.passed_native.to_string(),
            one.passed_afmpeg.to_string(),
        ]
    };
    let titles = ["client", "tests", "pass with native FFmpeg", "pass with afmpeg"];
    blocks::figures(&titles, compared.iter().map(row))
}

/// More names than this make no line to be read.
const NAMES_MAX: usize = 3;

/// The table of tests that fail, with the reasons.
pub fn exceptions(compared: &[Compared]) -> String {
    let rows = compared.iter().flat_map(|one| {
        one.exceptions.iter().map(|exception| {
            let short = |test: &String| format!("`{}`", test.rsplit("::").next().unwrap_or(test));
            let mut names: Vec<String> = exception.tests.iter().take(NAMES_MAX).map(short).collect();
            if exception.tests.len() > NAMES_MAX {
                names.push(format!("{} more", exception.tests.len() - NAMES_MAX));
            }
            vec![
                one.client.clone(),
                names.join(", "),
                exception.fails.clone(),
                exception.reason.split_whitespace().collect::<Vec<_>>().join(" "),
            ]
        })
    });
    blocks::table(&["client", "tests", "fail with", "why"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(exceptions: &str) -> Client {
        let text = format!("name = \"a\"\nversion = \"1\"\nrun = []\n{exceptions}");
        toml::from_str(&text).unwrap()
    }

    fn exception(test: &str, fails: &str) -> String {
        format!("[[exception]]\ntests = [\"{test}\"]\nfails = \"{fails}\"\nreason = \"why\\nindeed\"\n")
    }

    fn outcomes(text: &str) -> Outcomes {
        let pairs = text.split_whitespace().map(|word| {
            let (name, letter) = word.split_once('=').unwrap();
            let outcome = match letter {
                "p" => Outcome::Passed,
                "s" => Outcome::Skipped,
                _ => Outcome::Failed("bad".into()),
            };
            (name.to_owned(), outcome)
        });
        pairs.collect()
    }

    fn faults(exceptions: &str, native: &str, afmpeg: &str) -> String {
        compare(&client(exceptions), &outcomes(native), &outcomes(afmpeg))
            .faults
            .join("\n")
    }

    #[test]
    fn what_passes_natively_must_pass() {
        assert_eq!(faults("", "x=p y=p z=s", "x=p y=p z=s"), "");
        assert_eq!(faults("", "x=p", "x=f"), "x fails with afmpeg: bad");
        assert_eq!(faults("", "x=p", "x=s"), "x fails with afmpeg: it was skipped");
        assert_eq!(faults("", "x=p y=p", "x=p"), "y fails with afmpeg: it was not run");
        assert_eq!(faults("", "x=f", "x=p"), "x fails with native: bad");
        assert_eq!(faults("", "", ""), "no test was run");
        assert_eq!(faults("", "x=s", "x=s"), "no test was run");
    }

    #[test]
    fn exceptions_hold_while_they_are_true() {
        for (fails, native, afmpeg, wanted) in [
            ("afmpeg", "x=p", "x=f", ""),
            (
                "afmpeg",
                "x=p",
                "x=p",
                "x passes with afmpeg: take it off conformance/clients.toml",
            ),
            ("afmpeg", "x=f", "x=f", "x fails with native: bad"),
            ("both", "x=f", "x=f", ""),
            (
                "both",
                "x=f",
                "x=p",
                "x passes with afmpeg: take it off conformance/clients.toml",
            ),
            // By itself such a test has passed at least once.
            ("sometimes", "x=p", "x=p", ""),
            ("sometimes", "x=p", "x=f", "x fails with afmpeg: bad"),
            ("sometimes", "x=f", "x=p", "x fails with native: bad"),
        ] {
            assert_eq!(faults(&exception("x", fails), native, afmpeg), wanted, "{fails}");
        }
        let wanted = "conformance/clients.toml excepts tests that there are none of: why\nindeed";
        assert_eq!(faults(&exception("y", "both"), "x=p", "x=p"), wanted);
    }

    #[test]
    fn a_second_run_explains_a_failure_of_a_busy_machine() {
        let client = client(&exception("known", "afmpeg"));
        assert!(has_unexplained(&client, Side::Afmpeg, &outcomes("x=f known=f")));
        assert!(!has_unexplained(&client, Side::Afmpeg, &outcomes("x=p known=f")));
        let both = better(outcomes("x=f y=p z=f"), outcomes("x=p y=f z=f"));
        assert_eq!(both, outcomes("x=p y=p z=f"));
    }

    #[test]
    fn what_fails_sometimes_is_run_alone_and_what_was_run_again_is_told() {
        let client = client(&(exception("x", "sometimes") + &exception("known", "afmpeg")));
        let first = outcomes("x=f y=p known=f");
        assert!(!has_unexplained(&client, Side::Afmpeg, &first));
        assert_eq!(to_run_alone(&client, Side::Afmpeg, &first), ["x"]);
        assert_eq!(to_run_alone(&client, Side::Native, &first), ["x"]);
        assert_eq!(to_run_alone(&client, Side::Afmpeg, &outcomes("x=p known=f")), [""; 0]);
        let told = |last: &str| -> Vec<String> {
            let again = again(&client, Side::Afmpeg, &first, &outcomes(last));
            again.iter().map(Again::told).collect()
        };
        assert_eq!(told("x=p"), ["x passed only when it was run again with afmpeg: bad"]);
        assert_eq!(told("x=f"), ["x failed also when it was run again with afmpeg: bad"]);
    }

    #[test]
    fn tables_are_short() {
        let one = compare(
            &client(&exception("m::x*", "afmpeg")),
            &outcomes("m::x1=p m::x2=p m::x3=p m::x4=p y=p"),
            &outcomes("m::x1=f m::x2=f m::x3=f m::x4=f y=p"),
        );
        assert_eq!(counts(&[one]).lines().last(), Some("| a 1 | 5 | 5 | 1 |"));
        let one = compare(
            &client(&exception("m::x*", "afmpeg")),
            &outcomes("m::x1=p m::x2=p m::x3=p m::x4=p y=p"),
            &outcomes("m::x1=f m::x2=f m::x3=f m::x4=f y=p"),
        );
        assert_eq!(
            exceptions(&[one]).lines().last(),
            Some("| a | `x1`, `x2`, `x3`, 1 more | afmpeg | why indeed |")
        );
    }
}
