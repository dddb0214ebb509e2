//! Lists of jobs: a job a line, each with an id of its own.

use super::failure::Failure;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a list from a file, or from standard input if it is `-`. What is wrong with a line is told with its number.
pub fn read<T>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, String>,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Failure> {
    let failed = |error: io::Error| Failure::setup(format!("{}: {error}", path.display()));
    let mut text = String::new();
    match path.to_str() {
        Some("-") => io::stdin().read_to_string(&mut text),
        _ => File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    }
    .map_err(failed)?;
    let mut jobs = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |message: String| Failure::setup(format!("{}, line {}: {message}", path.display(), index + 1));
        let job = parse(line).map_err(wrong)?;
        if !ids.insert(id(&job).to_owned()) {
            return Err(wrong(format!("there is another job with the id `{}`", id(&job))));
        }
        jobs.push(job);
    }
    Ok(jobs)
}
