//! What came of tests, kept as they end, so that a run that was killed goes on where it was.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// It ran longer than it may, and was killed.
    TimedOut,
    /// A test that it comes after did not pass.
    NotRun,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished {
    pub name: String,
    pub group: String,
    pub outcome: Outcome,
    pub seconds: f64,
    /// Its programs ended well, and what they gave is not what was expected of them.
    #[serde(default)]
    pub differs: bool,
    /// Why it did not pass; empty when it did.
    pub message: String,
}

/// All that a result depends on. With another one of these, results are worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub format_version: u32,
    pub module_sha256: String,
    /// Of the pack by which it runs.
    pub pack_sha256: Option<String>,
    /// The key of the tree that FATE runs in.
    pub tree: String,
    /// The digest of this program, the runtime within.
    pub engine_sha256: String,
    pub samples: Option<String>,
}

pub const FORMAT_VERSION: u32 = 1;

/// A file with the identity in its first line and a result in each other.
pub struct Journal {
    file: File,
}

impl Journal {
    /// The results of an earlier run of the same identity, if there was one. A line that was cut short is none.
    pub fn read(path: &Path, identity: &Identity) -> Option<Vec<Finished>> {
        let text = fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        let found: Identity = serde_json::from_str(lines.next()?).ok()?;
        (found == *identity).then(|| lines.filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Begins anew, with what is kept of an earlier run.
    pub fn create(path: &Path, identity: &Identity, kept: &[Finished]) -> Result<Journal> {
        let mut text = serde_json::to_string(identity)? + "\n";
        for finished in kept {
            text += &(serde_json::to_string(finished)? + "\n");
        }
        xtask::cache::write_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Journal {
            file: file.with_context(|| format!("cannot open {}", path.display()))?,
        })
    }

    pub fn add(&mut self, finished: &Finished) -> Result<()> {
        let line = serde_json::to_string(finished)? + "\n";
        self.file.write_all(line.as_bytes()).context("cannot write a result")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_kept_for_the_same_module_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results");
        let identity = Identity {
            format_version: FORMAT_VERSION,
            module_sha256: "m".into(),
            pack_sha256: None,
            tree: "t".into(),
            engine_sha256: "e".into(),
            samples: None,
        };
        let finished = |name: &str| Finished {
            name: name.into(),
            group: "g".into(),
            outcome: Outcome::Passed,
            seconds: 0.5,
            differs: false,
            message: String::new(),
        };
        assert!(Journal::read(&path, &identity).is_none());
        let mut journal = Journal::create(&path, &identity, &[finished("a")]).unwrap();
        journal.add(&finished("b")).unwrap();
        // As a kill leaves it.
        journal.file.write_all(b"{\"name\":\"c\",\"gro").unwrap();
        let read = Journal::read(&path, &identity).unwrap();
        assert_eq!(
            read.iter().map(|finished| finished.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        let other = Identity {
            module_sha256: "n".into(),
            ..identity
        };
        assert!(Journal::read(&path, &other).is_none());
    }
}
