//! Passes over modules: each is a file here, with its name, the digest of what its result depends on, and how it runs.

pub mod compress;
pub mod describe;
pub mod difference;
pub mod inspect;
pub mod module;
pub mod optimise;
pub mod origins;
pub mod share;
pub mod suspend;
pub mod widen;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::digest::Key;
use crate::lock;

/// One step of the way from a linked module to a finished one. Its arguments are its fields, and part of a step's key.
pub trait Pass: Debug + erased_serde::Serialize {
    fn name(&self) -> &'static str;

    fn run(&self, work: &Work) -> Result<()>;

    /// The command that it runs, where it runs one.
    fn command(&self) -> Option<String> {
        None
    }
}

erased_serde::serialize_trait_object!(Pass);

/// What a pass has to work with.
#[derive(Debug)]
pub struct Work<'a> {
    /// Paths of arguments are relative to this.
    pub folder: &'a Path,
    pub log: &'a Path,
    /// The pinned wasm-opt.
    pub wasm_opt: &'a Path,
    pub jobs: usize,
    /// Paths of this machine that no module may hold.
    pub host_paths: &'a [PathBuf],
}

impl Work<'_> {
    fn read(&self, file: &str) -> Result<Vec<u8>> {
        fs::read(self.folder.join(file)).with_context(|| format!("cannot read {file}"))
    }

    fn read_text(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).with_context(|| format!("cannot read {file}"))
    }

    fn write(&self, file: &str, data: &[u8]) -> Result<()> {
        fs::write(self.folder.join(file), data).with_context(|| format!("cannot write {file}"))
    }

    fn write_json(&self, file: &str, value: &impl Serialize) -> Result<()> {
        self.write(file, (serde_json::to_string_pretty(value)? + "\n").as_bytes())
    }
}

/// The digest of every pass: of its source files and of the crates that work for it, with what those depend on.
pub fn digests() -> Result<BTreeMap<String, String>> {
    const MODULE: &str = include_str!("module.rs");
    let passes: [(&str, &[&str], &[&str]); 7] = [
        (
            compress::NAME,
            &[include_str!("compress.rs")],
            &["brotli", "libdeflater"],
        ),
        (describe::NAME, &[include_str!("describe.rs"), describe::SCRIPT], &[]),
        (
            inspect::NAME,
            &[include_str!("inspect.rs"), MODULE],
            &["wasm-encoder", "wasmparser"],
        ),
        (optimise::NAME, &[include_str!("optimise.rs")], &[]),
        (origins::NAME, &[include_str!("origins.rs")], &[]),
        (
            suspend::NAME,
            &[include_str!("suspend.rs"), MODULE],
            &["wasm-encoder", "wasmparser"],
        ),
        (
            widen::NAME,
            &[include_str!("widen.rs"), MODULE],
            &["wasm-encoder", "wasmparser"],
        ),
    ];
    let mut digests = BTreeMap::new();
    for (name, sources, crates) in passes {
        let mut key = Key::new("pass")
            .field(include_str!("mod.rs"))
            .field(lock::digest(crates)?);
        for source in sources {
            key = key.field(source);
        }
        digests.insert(name.to_owned(), key.finish());
    }
    Ok(digests)
}
