//! Making a runtime: from which module, and with which settings.

use crate::bulk;
use crate::cache::{self, Cache, CacheStatus};
use crate::capacity::{Capacity, CapacityBuilder};
use crate::engine;
use crate::error::Error;
use crate::module;
use crate::preempt::Preemption;
use crate::runtime::Runtime;
use std::fs::File;
use std::path::{Path, PathBuf};
use wasmtime::{Engine, ExternType, Module};

impl Runtime {
    /// Creates a runtime that keeps no compiled code on disk; see [`Runtime::builder`] for one that does.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Runtime, Error> {
        Runtime::builder().from_file(path)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Runtime, Error> {
        Runtime::builder().from_bytes(bytes)
    }

    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }
}

/// Settings of a new [`Runtime`].
#[derive(Clone, Debug, Default)]
pub struct RuntimeBuilder {
    cache_folder: Option<PathBuf>,
    verify_cached_code: bool,
    own_capacity: Option<CapacityBuilder>,
    capacity: Option<Capacity>,
    preemption: Preemption,
}

impl RuntimeBuilder {
    /// Keeps compiled code in this folder, so that the next process starts in milliseconds; by default it is not kept.
    ///
    /// A missing folder is created, for this user alone. Its files run as native code: they must belong to this user or
    /// to root, and nobody else may be able to write to the folder or to move it. On Windows it must be below the
    /// user's local application data. A folder that cannot be used is not an error, but the module is compiled anew:
    /// [`Runtime::cache_status`] has the reason.
    ///
    /// Processes that start together compile a module once: one compiles, the others wait for it, at most two minutes.
    pub fn cache_folder(mut self, path: impl Into<PathBuf>) -> RuntimeBuilder {
        self.cache_folder = Some(path.into());
        self
    }

    /// Compares compiled code with its digest each time it is loaded, for unreliable disks. By default its size and
    /// header are checked: reading all of the code takes about as long as the rest of a start.
    pub fn verify_cached_code(mut self, verify: bool) -> RuntimeBuilder {
        self.verify_cached_code = verify;
        self
    }

    /// Sets the number of jobs that run at a time; further jobs wait in line. By default the number of cores.
    ///
    /// [`Capacity::builder`] has further settings.
    pub fn max_concurrency(mut self, jobs: usize) -> RuntimeBuilder {
        self.own_capacity = Some(self.own_capacity.unwrap_or_default().max_concurrency(jobs));
        self
    }

    /// Shares a line and a budget with other runtimes. Setting [`max_concurrency`](RuntimeBuilder::max_concurrency) or
    /// [`open_files_max`](RuntimeBuilder::open_files_max) too is [`Error::TwoCapacities`].
    pub fn capacity(mut self, capacity: &Capacity) -> RuntimeBuilder {
        self.capacity = Some(capacity.clone());
        self
    }

    /// Limits the number of files that all jobs together may have open, each of which may be an open file of this
    /// process. By default half of the process's limit (the soft limit of `RLIMIT_NOFILE`), and 8192 where there is no
    /// such limit.
    ///
    /// A program that opens one more gets an error; if it then fails, the caller gets
    /// [`Limit::RuntimeOpenFiles`](crate::Limit::RuntimeOpenFiles).
    pub fn open_files_max(mut self, count: u64) -> RuntimeBuilder {
        self.own_capacity = Some(self.own_capacity.unwrap_or_default().open_files_max(count));
        self
    }

    /// Sets the way in which programs that compute are stopped; signals by default, where the system supports them.
    pub fn preemption(mut self, preemption: Preemption) -> RuntimeBuilder {
        self.preemption = preemption.or_what_is_supported();
        self
    }

    /// Creates a runtime from a module's file, which may be compressed with gzip or brotli.
    pub fn from_file(&self, path: impl AsRef<Path>) -> Result<Runtime, Error> {
        let path = path.as_ref();
        let unreadable = |source| Error::ModuleUnreadable {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = &self.cache_folder {
            // Hashed piece by piece: a module whose code is cached need not be in memory.
            let file = File::open(path).map_err(unreadable)?;
            let hash = cache::hash(file).map_err(unreadable)?;
            let engine = self.engine()?;
            let key = cache::key(&engine, &hash, bulk::SOURCE);
            let cached = Cache::open(folder, self.verify_cached_code).and_then(|cache| cache.load(&engine, &key));
            if let Ok(Some(module)) = cached {
                return self.runtime(engine, &module, CacheStatus::Hit);
            }
        }
        self.from_bytes(&std::fs::read(path).map_err(unreadable)?)
    }

    /// Creates a runtime from a module of a release, which is verified first, and downloaded if needed.
    #[cfg(feature = "pull")]
    pub fn from_source(&self, source: &crate::ModuleSource) -> Result<Runtime, Error> {
        self.from_bytes(&source.bytes()?)
    }

    /// Creates a runtime from a module's bytes, which may be compressed with gzip or brotli.
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Runtime, Error> {
        let engine = self.engine()?;
        let compile = || compile(&engine, bytes);
        let (module, cache_status) = match &self.cache_folder {
            Some(folder) => {
                let key = cache::key(&engine, &blake3::hash(bytes), bulk::SOURCE);
                cache::through(folder, self.verify_cached_code, &engine, &key, compile)?
            }
            None => (compile()?, CacheStatus::Off),
        };
        self.runtime(engine, &module, cache_status)
    }

    fn engine(&self) -> Result<Engine, Error> {
        if self.capacity.is_some() && self.own_capacity.is_some() {
            return Err(Error::TwoCapacities);
        }
        engine::engine(self.preemption).map_err(|source| Error::Engine { source: source.into() })
    }

    fn runtime(&self, engine: Engine, module: &Module, cache_status: CacheStatus) -> Result<Runtime, Error> {
        check_program(module)?;
        let linker = engine::linker(&engine).map_err(|source| Error::Engine { source: source.into() })?;
        let program = linker.instantiate_pre(module).map_err(|source| Error::NotAProgram {
            reason: source.to_string(),
        })?;
        let capacity = match &self.capacity {
            Some(capacity) => capacity.clone(),
            None => self.own_capacity.unwrap_or_default().build()?,
        };
        Ok(Runtime::new(engine, program, capacity, self.preemption, cache_status))
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
    let wasm = module::decompress(bytes)?;
    let invalid = |source: wasmtime::Error| Error::ModuleInvalid { source: source.into() };
    Module::validate(engine, &wasm).map_err(invalid)?;
    let cut = bulk::cut(&wasm).map_err(|source| Error::ModuleInvalid { source: source.into() })?;
    Module::new(engine, cut.as_deref().unwrap_or(&wasm)).map_err(invalid)
}

fn check_program(module: &Module) -> Result<(), Error> {
    let missing = |reason: &str| {
        Err(Error::NotAProgram {
            reason: reason.to_owned(),
        })
    };
    match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
        _ => return missing("it exports no function `_start` without parameters and results"),
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(memory)) if !memory.is_64() && !memory.is_shared() => Ok(()),
        _ => missing("it exports no 32-bit memory called `memory`"),
    }
}
