//! The modules that a worker runs, by name and by digest.

use crate::pack::Hex;
use crate::runtime::Runtime;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// The modules of a worker. The first is that of jobs that name none.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Modules {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    name: String,
    pub sha256: Arc<str>,
    pub runtime: Runtime,
}

impl Modules {
    pub fn new() -> Modules {
        Modules::default()
    }

    /// Adds a module under a name, by the file that its runtime was made from.
    pub fn add(mut self, name: impl Into<String>, file: &Path, runtime: Runtime) -> std::io::Result<Modules> {
        self.entries.push(Entry {
            name: name.into(),
            sha256: Hex(&Sha256::digest(std::fs::read(file)?)).to_string().into(),
            runtime,
        });
        Ok(self)
    }

    /// The module that a job names.
    pub(super) fn find(&self, wanted: Option<&str>) -> Result<&Entry, String> {
        let is_wanted = |entry: &&Entry| match wanted {
            None => true,
            Some(wanted) => match wanted.strip_prefix("sha256:") {
                Some(sha256) => *entry.sha256 == *sha256,
                None => entry.name == wanted,
            },
        };
        let found = self.entries.iter().find(is_wanted);
        found.ok_or_else(|| match wanted {
            None => "this worker has no module".to_owned(),
            Some(wanted) => {
                let has: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
                format!("this worker has no module {wanted}, but {}", has.join(", "))
            }
        })
    }

    pub(super) fn runtimes(&self) -> impl Iterator<Item = &Runtime> {
        self.entries.iter().map(|entry| &entry.runtime)
    }
}
