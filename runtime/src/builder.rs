//! Making a runtime: from which module, and with which settings.

use crate::cache::Place;
#[cfg(feature = "compiler")]
use crate::cache::{self, Kind};
use crate::cache_status::CacheStatus;
use crate::capacity::{Capacity, CapacityBuilder};
#[cfg(feature = "compiler")]
use crate::engine::wasmtime::{self, compile};
use crate::engine::{Engine, EngineStatus, Program, pack};
use crate::error::Error;
#[cfg(feature = "compiler")]
use crate::module;
use crate::module::Of;
use crate::pack::Pack;
use crate::pack_error::PackError;
use crate::preempt::Preemption;
use crate::runtime::Runtime;
use std::path::{Path, PathBuf};

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
    engine: Engine,
    pack: Option<Pack>,
}

impl RuntimeBuilder {
    /// Chooses what runs the module; see [`Engine`].
    pub fn engine(mut self, engine: Engine) -> RuntimeBuilder {
        self.engine = engine;
        self
    }

    /// Runs the module by this pack, which must have been made from it.
    pub fn pack(mut self, pack: &Pack) -> RuntimeBuilder {
        self.pack = Some(pack.clone());
        self.engine = Engine::Pack;
        self
    }

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
        let read = || {
            std::fs::read(path).map_err(|source| Error::ModuleUnreadable {
                path: path.to_owned(),
                source,
            })
        };
        match self.engine {
            Engine::Wasmtime => self.compiled_file(path, read, EngineStatus::Wasmtime),
            Engine::Pack => {
                let pack = self.pack.clone().map_or_else(|| Pack::beside(path), Ok)?;
                self.packed(&pack, Of::File(path))
            }
            Engine::Auto => {
                let pack = match self.pack_beside(path) {
                    Ok(Some(pack)) => self.packed(&pack, Of::File(path)),
                    Ok(None) => return self.compiled_file(path, read, EngineStatus::Wasmtime),
                    Err(error) => Err(error),
                };
                match pack {
                    Err(error @ Error::Pack { .. }) if cfg!(feature = "compiler") => {
                        let reason = error.chain();
                        self.compiled_file(path, read, EngineStatus::PackRefused { reason })
                    }
                    pack => pack,
                }
            }
        }
    }

    /// Creates a runtime from a module of a release, which is verified first, and downloaded if needed; or from its pack,
    /// as [`engine`](RuntimeBuilder::engine) says.
    #[cfg(feature = "pull")]
    pub fn from_source(&self, source: &crate::ModuleSource) -> Result<Runtime, Error> {
        let pack = match (self.engine, &self.pack) {
            (Engine::Wasmtime, _) => None,
            (_, Some(pack)) => Some(pack.clone()),
            (Engine::Auto, None) if self.preemption == Preemption::Epochs => None,
            // A place may have the module alone.
            (Engine::Auto, None) if cfg!(feature = "compiler") => match source.pack() {
                Ok(pack) => pack,
                Err(error) => {
                    let reason = error.chain();
                    return self.compiled(&source.bytes()?, EngineStatus::PackRefused { reason });
                }
            },
            (_, None) => source.pack()?,
        };
        match (pack, self.engine) {
            (Some(pack), Engine::Pack) => {
                let bytes = source.bytes()?;
                self.packed(&pack, Of::Bytes(&bytes))
            }
            (None, Engine::Pack) => Err(Pack::missing(source.path()?)),
            // The list that names the pack names its module, too.
            (Some(pack), _) => match self.packed(&pack, Of::Record) {
                Err(error @ Error::Pack { .. }) if cfg!(feature = "compiler") => {
                    let reason = error.chain();
                    self.compiled(&source.bytes()?, EngineStatus::PackRefused { reason })
                }
                runtime => runtime,
            },
            (None, _) => self.compiled(&source.bytes()?, EngineStatus::Wasmtime),
        }
    }

    /// Creates a runtime from a module's bytes, which may be compressed with gzip or brotli.
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Runtime, Error> {
        match (self.engine, &self.pack) {
            (Engine::Pack, Some(pack)) => self.packed(pack, Of::Bytes(bytes)),
            (Engine::Pack, None) => Err(Error::NoPack),
            _ => self.compiled(bytes, EngineStatus::Wasmtime),
        }
    }

    /// Creates a runtime from a pack alone, without the module that it was made from.
    pub fn from_pack(&self, pack: &Pack) -> Result<Runtime, Error> {
        self.packed(pack, Of::Record)
    }

    /// The pack that lies beside a module, unless epochs are asked for, by which it cannot be stopped.
    fn pack_beside(&self, module: &Path) -> Result<Option<Pack>, Error> {
        match self.preemption {
            Preemption::Signals => Pack::find(module),
            Preemption::Epochs => Ok(None),
        }
    }

    /// A runtime by a pack, which must be one of this module.
    fn packed(&self, pack: &Pack, of: Of<'_>) -> Result<Runtime, Error> {
        self.check_capacities()?;
        if self.preemption == Preemption::Epochs {
            return Err(pack.refused(PackError::Epochs));
        }
        let place = self.cache_folder.as_deref().map(|folder| self.place(folder));
        let (program, cache_status) = pack::Program::load(pack, of, place)?;
        let engine_status = EngineStatus::Pack {
            path: pack.path().to_owned(),
            machine: program.machine().to_owned(),
        };
        self.runtime(Program::Pack(program), engine_status, cache_status)
    }

    #[cfg(not(feature = "compiler"))]
    fn compiled_file(
        &self,
        _path: &Path,
        _read: impl FnOnce() -> Result<Vec<u8>, Error>,
        _engine_status: EngineStatus,
    ) -> Result<Runtime, Error> {
        Err(Error::NoCompiler)
    }

    #[cfg(not(feature = "compiler"))]
    fn compiled(&self, _bytes: &[u8], _engine_status: EngineStatus) -> Result<Runtime, Error> {
        Err(Error::NoCompiler)
    }

    #[cfg(feature = "compiler")]
    fn compiled_file(
        &self,
        path: &Path,
        read: impl FnOnce() -> Result<Vec<u8>, Error>,
        engine_status: EngineStatus,
    ) -> Result<Runtime, Error> {
        self.check_capacities()?;
        if let Some(folder) = &self.cache_folder {
            // Read piece by piece: a module whose code is cached need not be in memory.
            let hash = Of::File(path).hash()?;
            let engine = wasmtime::engine(self.preemption)?;
            let key = wasmtime::key(&engine, hash);
            let read = |file| wasmtime::kept(&engine, file);
            if let Some(module) = cache::find(self.place(folder), Kind::Compiled, &key, read) {
                let program = wasmtime::Program::new(engine, &module, self.preemption)?;
                return self.runtime(Program::Compiled(program.into()), engine_status, CacheStatus::Hit);
            }
        }
        self.compiled(&read()?, engine_status)
    }

    #[cfg(feature = "compiler")]
    fn compiled(&self, bytes: &[u8], engine_status: EngineStatus) -> Result<Runtime, Error> {
        self.check_capacities()?;
        let engine = wasmtime::engine(self.preemption)?;
        let compile = || compile(&engine, &module::decompress(bytes)?);
        let (module, cache_status) = match &self.cache_folder {
            Some(folder) => {
                let key = wasmtime::key(&engine, Of::Bytes(bytes).hash()?);
                let read = |file| wasmtime::kept(&engine, file);
                let make = || {
                    let module = compile()?;
                    let bytes = wasmtime::to_keep(&module);
                    Ok((module, bytes))
                };
                cache::through(self.place(folder), Kind::Compiled, &key, read, make)?
            }
            None => (compile()?, CacheStatus::Off),
        };
        let program = wasmtime::Program::new(engine, &module, self.preemption)?;
        self.runtime(Program::Compiled(program.into()), engine_status, cache_status)
    }

    fn place<'a>(&self, folder: &'a Path) -> Place<'a> {
        Place {
            folder,
            verify: self.verify_cached_code,
        }
    }

    fn check_capacities(&self) -> Result<(), Error> {
        match (&self.capacity, self.own_capacity) {
            (Some(_), Some(_)) => Err(Error::TwoCapacities),
            _ => Ok(()),
        }
    }

    fn runtime(
        &self,
        program: Program,
        engine_status: EngineStatus,
        cache_status: CacheStatus,
    ) -> Result<Runtime, Error> {
        let capacity = match &self.capacity {
            Some(capacity) => capacity.clone(),
            None => self.own_capacity.unwrap_or_default().build()?,
        };
        Ok(Runtime::new(
            program,
            capacity,
            self.preemption,
            engine_status,
            cache_status,
        ))
    }
}
