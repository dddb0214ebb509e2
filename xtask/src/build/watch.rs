//! How far a compilation has come: object files in a folder, of as many as make will make.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Invocation;

/// How often object files are counted.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs something, and says meanwhile how many files are compiled and how long it has taken.
pub fn compile<T>(folder: &Path, known: Option<usize>, tell: impl Fn(&str) + Sync, run: impl FnOnce() -> T) -> T {
    let before = count(folder);
    let started = Instant::now();
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let tell = &tell;
        scope.spawn(move || {
            while is_done.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                tell(&state(count(folder).saturating_sub(before), known, started.elapsed()));
            }
        });
        let result = run();
        drop(done);
        result
    })
}

fn state(compiled: usize, known: Option<usize>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match (compiled, known) {
        (0, _) => format!("{seconds} s"),
        (compiled, Some(known)) if known >= compiled => format!("{compiled} of {known} files compiled, {seconds} s"),
        (compiled, _) => format!("{compiled} files compiled, {seconds} s"),
    }
}

/// How many files such a call of make would compile, by its own word.
pub fn known(make: &Invocation) -> Option<usize> {
    let mut asking = make.clone();
    asking.arguments.insert(0, "--dry-run".into());
    let said = asking.output_of_any_end().ok()?;
    let compiles = |line: &&str| line.split_whitespace().any(|word| word == "-c");
    let count = said.lines().filter(compiles).count();
    (count > 0).then_some(count)
}

fn count(folder: &Path) -> usize {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    let is_object = |name: &Path| {
        name.extension()
            .is_some_and(|kind| kind == "o" || kind == "lo" || kind == "obj")
    };
    files.filter(|entry| is_object(entry.path())).count()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_compiled_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("before.o"), "").unwrap();
        let makefile = ".PHONY: all\nall: a.o b.o\n%.o:\n\tcc -c $*.c\n";
        fs::write(path("Makefile"), makefile).unwrap();
        let make = Invocation::new("make", folder.path());
        assert_eq!(known(&make), Some(2));

        let said = Mutex::new(Vec::new());
        let tell = |text: &str| said.lock().unwrap().push(text.to_owned());
        let result = compile(folder.path(), Some(2), tell, || {
            fs::write(path("a.o"), "").unwrap();
            thread::sleep(INTERVAL * 3 / 2);
            7
        });
        assert_eq!(result, 7);
        let said = said.into_inner().unwrap();
        assert!(said[0].starts_with("1 of 2 files compiled, "), "{said:?}");
    }
}
