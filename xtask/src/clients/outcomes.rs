//! What came of each test, read from what the suites' own tools write.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::list::Format;

/// Test -> what came of it.
pub type Outcomes = BTreeMap<String, Outcome>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Left out by the suite itself.
    Skipped,
    Failed(String),
}

#[derive(Deserialize)]
struct PytestLine {
    test: String,
    outcome: String,
    message: String,
}

#[derive(Deserialize)]
struct Mocha {
    passes: Vec<MochaTest>,
    failures: Vec<MochaTest>,
    pending: Vec<MochaTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MochaTest {
    full_title: String,
    #[serde(default)]
    err: MochaError,
}

#[derive(Default, Deserialize)]
struct MochaError {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Jest {
    test_results: Vec<JestFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestFile {
    name: String,
    message: String,
    assertion_results: Vec<JestTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JestTest {
    full_name: String,
    status: String,
    #[serde(default)]
    failure_messages: Vec<String>,
}

/// Reads what a suite's tool wrote: its file of outcomes, or for libtest what it printed.
pub fn read(format: Format, text: &str) -> Result<Outcomes> {
    let found = match format {
        Format::Pytest => pytest(text)?,
        Format::Mocha => mocha(text)?,
        Format::Jest => jest(text)?,
        Format::Libtest => libtest(text),
        Format::Exit => bail!("a command that is a test by itself writes nothing"),
    };
    let mut outcomes = Outcomes::new();
    for (test, outcome) in found {
        // Suites have several tests of one name: it fails where one of them does, and is skipped where all are.
        let before = outcomes.remove(&test);
        let worse = match (before, outcome) {
            (Some(failed @ Outcome::Failed(_)), _) | (_, failed @ Outcome::Failed(_)) => failed,
            (Some(Outcome::Passed), _) => Outcome::Passed,
            (_, outcome) => outcome,
        };
        outcomes.insert(test, worse);
    }
    Ok(outcomes)
}

fn first_line(text: &str) -> String {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn pytest(text: &str) -> Result<Vec<(String, Outcome)>> {
    let outcome = |line: &str| {
        let line: PytestLine = serde_json::from_str(line).with_context(|| format!("not an outcome: {line}"))?;
        let outcome = match line.outcome.as_str() {
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed(line.message),
        };
        Ok((line.test, outcome))
    };
    text.lines().map(outcome).collect()
}

fn mocha(text: &str) -> Result<Vec<(String, Outcome)>> {
    let mocha: Mocha = serde_json::from_str(text)?;
    let passed = mocha.passes.into_iter().map(|test| (test.full_title, Outcome::Passed));
    let skipped = mocha
        .pending
        .into_iter()
        .map(|test| (test.full_title, Outcome::Skipped));
    let failed = mocha.failures.into_iter().map(|test| {
        let outcome = Outcome::Failed(first_line(&test.err.message));
        (test.full_title, outcome)
    });
    Ok(passed.chain(skipped).chain(failed).collect())
}

fn jest(text: &str) -> Result<Vec<(String, Outcome)>> {
    let jest: Jest = serde_json::from_str(text)?;
    let mut found = Vec::new();
    for file in jest.test_results {
        if file.assertion_results.is_empty() {
            found.push((file.name, Outcome::Failed(first_line(&file.message))));
        }
        for test in file.assertion_results {
            let outcome = match test.status.as_str() {
                "passed" => Outcome::Passed,
                "pending" | "todo" | "skipped" | "disabled" => Outcome::Skipped,
                _ => Outcome::Failed(first_line(&test.failure_messages.concat())),
            };
            found.push((test.full_name, outcome));
        }
    }
    Ok(found)
}

fn libtest(text: &str) -> Vec<(String, Outcome)> {
    let outcome = |line: &str| {
        let (test, told) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let outcome = match told {
            "ok" => Outcome::Passed,
            "FAILED" => Outcome::Failed("it failed".into()),
            _ if told.starts_with("ignored") => Outcome::Skipped,
            _ => return None,
        };
        Some((test.to_owned(), outcome))
    };
    text.lines().filter_map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, text: &str) -> String {
        let outcomes = read(format, text).unwrap();
        let lines = outcomes.iter().map(|(test, outcome)| format!("{test}: {outcome:?}\n"));
        lines.collect()
    }

    #[test]
    fn each_tool_is_understood() {
        let pytest = r#"{"test": "t.py::a", "outcome": "passed", "message": ""}
{"test": "t.py::b", "outcome": "skipped", "message": ""}
{"test": "t.py::c", "outcome": "passed", "message": ""}
{"test": "t.py::c", "outcome": "failed", "message": "E  not closed"}"#;
        assert_eq!(
            shown(Format::Pytest, pytest),
            "t.py::a: Passed\nt.py::b: Skipped\nt.py::c: Failed(\"E  not closed\")\n"
        );
        let mocha = r#"{"stats": {}, "passes": [{"fullTitle": "a b", "err": {}}, {"fullTitle": "a b", "err": {}}],
            "pending": [{"fullTitle": "c", "err": {}}],
            "failures": [{"fullTitle": "a d", "err": {"message": "\nexpected 0\nat x"}}]}"#;
        assert_eq!(
            shown(Format::Mocha, mocha),
            "a b: Passed\na d: Failed(\"expected 0\")\nc: Skipped\n"
        );
        let jest = r#"{"testResults": [
            {"name": "/x/a.js", "message": "no module", "assertionResults": []},
            {"name": "/x/b.js", "message": "", "assertionResults": [
                {"fullName": "one", "status": "passed", "failureMessages": []},
                {"fullName": "two", "status": "failed", "failureMessages": ["Error: no\nat"]}]}]}"#;
        assert_eq!(
            shown(Format::Jest, jest),
            "/x/a.js: Failed(\"no module\")\none: Passed\ntwo: Failed(\"Error: no\")\n"
        );
        let libtest = "running 3 tests\ntest a::b ... ok\ntest a::c - should panic ... FAILED\n\
                       test d ... ignored, no network\n\ntest result: FAILED. 1 passed\n";
        assert_eq!(
            shown(Format::Libtest, libtest),
            "a::b: Passed\na::c - should panic: Failed(\"it failed\")\nd: Skipped\n"
        );
        assert!(read(Format::Pytest, "nothing").is_err() && read(Format::Mocha, "{}").is_err());
    }
}
