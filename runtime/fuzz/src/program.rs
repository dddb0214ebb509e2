//! Runs the module's programs on files in memory.

use crate::request::Tested;
use afmpeg::{Error, Job, MemoryFs, Output, Pack, Runtime, Stdout};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub const MEMORY_MAX_BYTES: u64 = 512 << 20;
const FILES_MAX_BYTES: u64 = 64 << 20;

/// A file of a case or a sample.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct File {
    pub name: String,
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

pub struct Program {
    runtime: Runtime,
}

impl Program {
    fn load(path: &Path, compiled: &Path, pack: Option<&Path>, jobs: usize) -> Result<Program> {
        std::fs::create_dir_all(compiled.parent().context("it lies in a folder")?)?;
        let mut builder = Runtime::builder().cache_folder(compiled).max_concurrency(jobs);
        if let Some(record) = pack {
            builder = builder.pack(&Pack::from_record(record)?);
        }
        let runtime = builder
            .from_file(path)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Program { runtime })
    }

    pub fn of(tested: &Tested, jobs: usize) -> Result<Program> {
        Program::load(&tested.path, &tested.compiled, tested.pack.as_deref(), jobs)
    }

    /// The one that names functions, where there is one.
    pub fn named(tested: &Tested, jobs: usize) -> Result<Program> {
        match &tested.named {
            Some(path) => Program::load(path, &tested.compiled.with_extension("named"), None, jobs),
            None => Program::of(tested, jobs),
        }
    }

    pub fn run(&self, line: &str, files: &[File], timeout: Duration) -> (Result<Output, Error>, MemoryFs) {
        let memory = MemoryFs::new(FILES_MAX_BYTES);
        for file in files {
            // Without it the program would fail whatever the case is about.
            if let Err(source) = memory.add_file(&file.name, file.bytes.clone()) {
                let path = PathBuf::from(&file.name);
                return (Err(Error::Directory { path, source }), memory);
            }
        }
        let job = Job::new(line.split_whitespace().collect::<Vec<_>>())
            .file_system(".", Arc::new(memory.clone()))
            .stdout(Stdout::Capture { limit_bytes: 1 << 20 })
            .memory_max_bytes(MEMORY_MAX_BYTES)
            .timeout(timeout);
        (self.runtime.run(job), memory)
    }

    /// The names that `-demuxers`, `-decoders` and the like list, with their flags.
    pub fn listed(&self, what: &str) -> Result<Vec<(String, String)>> {
        let (output, _) = self.run(&format!("ffmpeg -v error -{what}"), &[], Duration::from_secs(60));
        let listing = String::from_utf8(output?.stdout)?;
        let list = match listing.split_once("---") {
            Some((_, list)) => list.lines().skip(1).collect::<Vec<_>>(),
            None => listing.lines().skip(1).collect(),
        };
        let names = list.iter().filter_map(|line| {
            let mut words = line.split_whitespace();
            let first = words.next()?;
            // Filters of bitstreams are listed without flags.
            let (flags, name) = match words.next() {
                // Of a device.
                Some("d") => (first, words.next()?),
                Some(name) => (first, name),
                None => ("", first),
            };
            Some((flags.to_owned(), name.split(',').next()?.to_owned()))
        });
        Ok(names.collect())
    }
}
