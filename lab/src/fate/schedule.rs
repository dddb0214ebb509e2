//! Runs tests at the same time, each after those whose results it works on.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

use super::list::Test;
use super::results::{Finished, Outcome};

struct State<'a> {
    /// In the order in which they are to run.
    open: Vec<&'a Test>,
    ended: BTreeMap<&'a str, Outcome>,
    running: usize,
    fault: Option<anyhow::Error>,
}

enum Next<'a> {
    Run(&'a Test),
    /// Not worth running, for this reason.
    Skip(&'a Test, String),
    Wait,
    End,
}

impl<'a> State<'a> {
    fn next(&mut self) -> Next<'a> {
        if self.fault.is_some() || self.open.is_empty() {
            return Next::End;
        }
        let is_ready = |test: &&Test| test.after.iter().all(|name| self.ended.contains_key(name.as_str()));
        let Some(position) = self.open.iter().position(is_ready) else {
            if self.running > 0 {
                return Next::Wait;
            }
            return Next::Skip(self.open.remove(0), "it comes after tests that wait for it".into());
        };
        let test = self.open.remove(position);
        let failed = test
            .after
            .iter()
            .find(|name| self.ended[name.as_str()] != Outcome::Passed);
        match failed {
            Some(failed) => Next::Skip(test, format!("it comes after {failed}, which did not pass")),
            None => {
                self.running += 1;
                Next::Run(test)
            }
        }
    }
}

fn not_run(test: &Test, message: String) -> Finished {
    Finished {
        name: test.name.clone(),
        group: test.group.clone(),
        outcome: Outcome::NotRun,
        seconds: 0.0,
        differs: false,
        message,
    }
}

/// Runs the tests, but for those that have passed already. `ended` is called for each as it ends, one at a time.
pub fn run<'a>(
    tests: &'a [Test],
    passed: &'a [Finished],
    jobs: usize,
    execute: impl Fn(&Test) -> Result<Finished> + Sync,
    ended: impl FnMut(Finished) -> Result<()> + Send,
) -> Result<()> {
    let done: BTreeMap<&str, Outcome> = passed
        .iter()
        .map(|finished| (finished.name.as_str(), finished.outcome))
        .collect();
    let state = Mutex::new(State {
        open: tests
            .iter()
            .filter(|test| !done.contains_key(test.name.as_str()))
            .collect(),
        ended: done,
        running: 0,
        fault: None,
    });
    let ended = Mutex::new(ended);
    let changed = Condvar::new();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let report = |test: &'a Test, finished: Result<Finished>| {
        let outcome = finished.and_then(|finished| {
            let outcome = finished.outcome;
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended(finished).map(|()| outcome)
        });
        let mut state = lock();
        match outcome {
            Ok(outcome) => drop(state.ended.insert(&test.name, outcome)),
            Err(fault) => state.fault = Some(fault),
        }
    };
    let work = || {
        let mut guard = lock();
        loop {
            match guard.next() {
                Next::End => return,
                Next::Wait => guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Next::Skip(test, message) => {
                    drop(guard);
                    report(test, Ok(not_run(test, message)));
                    guard = lock();
                }
                Next::Run(test) => {
                    drop(guard);
                    report(test, execute(test));
                    guard = lock();
                    guard.running -= 1;
                    changed.notify_all();
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    match state.into_inner().unwrap_or_else(PoisonError::into_inner).fault {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, after: &[&str]) -> Test {
        Test {
            name: name.into(),
            group: "g".into(),
            recipe: String::new(),
            after: after.iter().map(|&name| name.to_owned()).collect(),
            files: Vec::new(),
        }
    }

    fn finished(name: &str, outcome: Outcome) -> Finished {
        Finished {
            name: name.into(),
            group: "g".into(),
            outcome,
            seconds: 0.0,
            differs: false,
            message: String::new(),
        }
    }

    fn run_all(tests: &[Test], passed: &[Finished], fails: &str) -> Vec<(String, Outcome)> {
        let mut ended = Vec::new();
        let outcome = |name: &str| {
            if name == fails {
                Outcome::Failed
            } else {
                Outcome::Passed
            }
        };
        run(
            tests,
            passed,
            3,
            |test| Ok(finished(&test.name, outcome(&test.name))),
            |finished| {
                ended.push((finished.name, finished.outcome));
                Ok(())
            },
        )
        .unwrap();
        ended
    }

    #[test]
    fn a_test_comes_after_what_it_needs() {
        let tests = [test("c", &["b"]), test("b", &["a"]), test("a", &[]), test("d", &[])];
        let ended = run_all(&tests, &[], "");
        let position = |name: &str| ended.iter().position(|(ended, _)| ended == name).unwrap();
        assert_eq!(ended.len(), 4);
        assert!(position("a") < position("b") && position("b") < position("c"));

        let ended = run_all(&tests, &[], "a");
        let outcome = |wanted: &str| ended.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert_eq!(outcome("a"), Outcome::Failed);
        assert_eq!(outcome("b"), Outcome::NotRun);
        assert_eq!(outcome("c"), Outcome::NotRun);
        assert_eq!(outcome("d"), Outcome::Passed);
    }

    #[test]
    fn what_has_passed_is_not_run_again_and_circles_end() {
        let tests = [test("b", &["a"]), test("a", &[]), test("x", &["y"]), test("y", &["x"])];
        let mut ended = run_all(&tests, &[finished("a", Outcome::Passed)], "");
        ended.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            ended,
            [
                ("b".to_owned(), Outcome::Passed),
                ("x".to_owned(), Outcome::NotRun),
                ("y".to_owned(), Outcome::NotRun)
            ]
        );
    }

    #[test]
    fn a_fault_of_our_own_ends_the_run() {
        let tests = [test("a", &[]), test("b", &[])];
        let error = run(&tests, &[], 1, |_| anyhow::bail!("no disk"), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "no disk");
    }
}
