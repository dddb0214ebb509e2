//! A compiled module and the jobs that run on it.

use crate::cache::{self, Cache};
use crate::engine::{self, Ending, State};
use crate::error::{Error, Trap};
use crate::fs::Devices;
use crate::interrupt::{Interrupt, Interruption};
use crate::job::{Job, Output, Timings};
use crate::module;
use crate::queue::Queue;
use crate::stdio::{SharedTail, Stream, take_tail};
use crate::wasi::Host;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wasmtime::{Engine, ExternType, InstancePre, Module};

/// A module, compiled once, that runs any number of jobs.
///
/// Cloning is cheap and all clones share the compiled code and the bound on jobs at a time. Jobs share nothing else:
/// each gets its own memory, files and limits.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    program: InstancePre<State>,
    queue: Queue,
}

/// How a [`Runtime`] is to be made.
#[derive(Clone, Debug, Default)]
pub struct RuntimeBuilder {
    cache_folder: Option<PathBuf>,
    max_concurrency: Option<usize>,
}

impl RuntimeBuilder {
    /// Keeps compiled code in this folder, so that the next process starts in milliseconds; by default it is not kept.
    ///
    /// The folder is made where it does not exist. What lies in it runs as native code: it must belong to this user
    /// and be open to nobody else, or it is refused.
    pub fn cache_folder(mut self, path: impl Into<PathBuf>) -> RuntimeBuilder {
        self.cache_folder = Some(path.into());
        self
    }

    /// How many jobs run at a time, the others waiting in line; by default as many as there are cores.
    pub fn max_concurrency(mut self, jobs: usize) -> RuntimeBuilder {
        self.max_concurrency = Some(jobs);
        self
    }

    /// Makes a runtime from a module's file, which may be compressed with gzip or brotli.
    pub fn from_file(&self, path: impl AsRef<Path>) -> Result<Runtime, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::ModuleUnreadable {
            path: path.to_owned(),
            source,
        })?;
        self.from_bytes(&bytes)
    }

    /// Makes a runtime from a module's bytes, which may be compressed with gzip or brotli.
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Runtime, Error> {
        let engine = engine::engine().map_err(|source| Error::Engine { source: source.into() })?;
        let module = match &self.cache_folder {
            Some(folder) => cached(&engine, &Cache::open(folder)?, bytes)?,
            None => {
                let wasm = module::decompress(bytes)?;
                Module::new(&engine, &wasm).map_err(|source| Error::ModuleInvalid { source: source.into() })?
            }
        };
        check_program(&module)?;
        let linker = engine::linker(&engine).map_err(|source| Error::Engine { source: source.into() })?;
        let program = linker.instantiate_pre(&module).map_err(|source| Error::NotAProgram {
            reason: source.to_string(),
        })?;
        let jobs = self
            .max_concurrency
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        Ok(Runtime {
            shared: Arc::new(Shared {
                engine,
                program,
                queue: Queue::new(jobs),
            }),
        })
    }
}

fn cached(engine: &Engine, cache: &Cache, bytes: &[u8]) -> Result<Module, Error> {
    let key = cache::key(engine, bytes);
    if let Some(file) = cache.find(&key) {
        // SAFETY: the file lies in a folder that only this user can change, and was written there by `Cache::store`
        // from the output of the same compiler for the same module; it has the size that it was written with.
        match unsafe { Module::deserialize_open_file(engine, file) } {
            Ok(module) => return Ok(module),
            Err(_) => cache.discard(&key),
        }
    }
    let wasm = module::decompress(bytes)?;
    let module = Module::new(engine, &wasm).map_err(|source| Error::ModuleInvalid { source: source.into() })?;
    let code = module
        .serialize()
        .map_err(|source| Error::Engine { source: source.into() })?;
    cache.store(&key, &code)?;
    Ok(module)
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

impl Runtime {
    /// A runtime that keeps no compiled code on disk; see [`Runtime::builder`] for one that does.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Runtime, Error> {
        Runtime::builder().from_file(path)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Runtime, Error> {
        Runtime::builder().from_bytes(bytes)
    }

    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Runs a job to its end; may be called from many threads.
    ///
    /// A plain list of arguments is a job as well: `runtime.run(["ffmpeg", "-version"])`.
    pub fn run(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let job = job.into();
        let called = Instant::now();
        let interrupt = Interrupt {
            cancellation: job.cancellation.clone(),
            deadline: job.timeout.and_then(|timeout| called.checked_add(timeout)),
        };
        let _place = self.shared.queue.enter(&interrupt)?;
        let queue = called.elapsed();
        // A program may need more stack than the caller's thread has.
        thread::scope(|scope| {
            let run = || self.shared.run(job, interrupt, queue);
            let thread = thread::Builder::new().name("afmpeg job".to_owned());
            let thread = thread
                .stack_size(engine::THREAD_STACK_SIZE_BYTES)
                .spawn_scoped(scope, run);
            match thread.map_err(|source| Error::Thread { source })?.join() {
                Ok(result) => result,
                // A file system or a stream of the caller's own panicked, and the panic is the caller's to see.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Lets the running jobs finish, and refuses all others with [`Error::Closed`].
    pub fn close(&self) {
        self.shared.queue.close();
    }
}

impl Shared {
    fn run(&self, job: Job, interrupt: Interrupt, queue: Duration) -> Result<Output, Error> {
        let started = Instant::now();
        let memory_max_bytes = job.memory_max_bytes;
        let (host, stdout, stderr) = host(job, interrupt)?;
        let mut store = engine::store(&self.engine, host, memory_max_bytes);
        let start = engine::instantiate(&self.program, &mut store);
        let instantiate = started.elapsed();
        let result = match start {
            Ok(start) => start.call(&mut store, ()),
            Err(error) if error.is::<wasmtime::Trap>() || error.is::<Ending>() => Err(error),
            Err(error) => return Err(Error::Instantiate { source: error.into() }),
        };

        let state = store.data();
        let (stdout, stdout_dropped_bytes) = take_tail(&stdout);
        let (stderr, stderr_dropped_bytes) = take_tail(&stderr);
        let mut output = Output {
            exit_code: 0,
            stdout,
            stdout_dropped_bytes,
            stderr,
            stderr_dropped_bytes,
            timings: Timings {
                queue,
                instantiate,
                run: started.elapsed() - instantiate,
            },
            memory_peak_bytes: state.limiter.memory_peak_bytes,
            bytes_read: state.host.bytes_read,
            bytes_written: state.host.bytes_written,
        };
        let Err(error) = result else { return Ok(output) };
        match error.downcast_ref::<Ending>() {
            Some(Ending::Exit(code)) => {
                output.exit_code = *code;
                Ok(output)
            }
            Some(Ending::Interrupted(Interruption::Deadline)) => Err(Error::Deadline { output: output.into() }),
            Some(Ending::Interrupted(Interruption::Cancelled)) => Err(Error::Cancelled { output: output.into() }),
            None => Err(Error::Trap(Box::new(trap(&error, output)))),
        }
    }
}

fn trap(error: &wasmtime::Error, output: Output) -> Trap {
    let frames = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| backtrace.frames());
    let function = frames
        .and_then(|frames| frames.first())
        .map(|frame| match frame.func_name() {
            Some(name) => name.to_owned(),
            None => format!("function {}", frame.func_index()),
        });
    Trap {
        reason: error.root_cause().to_string(),
        function,
        output,
    }
}

/// Everything that the job's program will be able to reach, and what captures its two output streams.
fn host(job: Job, interrupt: Interrupt) -> Result<(Host, SharedTail, SharedTail), Error> {
    let args = job.args.into_iter().map(c_string).collect::<Result<_, _>>()?;
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        c_string(name)
    };
    let env = job.env.into_iter().map(variable).collect::<Result<_, _>>()?;

    let failed = |source| Error::Stdio { source };
    let stdin = Stream::input(job.stdin).map_err(failed)?;
    let (stdout, stdout_tail) = Stream::output(job.stdout, &io::stdout()).map_err(failed)?;
    let (stderr, stderr_tail) = Stream::output(job.stderr, &io::stderr()).map_err(failed)?;

    let mut host = Host::new(args, env, interrupt, job.open_files_max);
    let too_many = |_| Error::TooManyDirectories;
    for stream in [stdin, stdout, stderr] {
        host.add_stream(stream).map_err(too_many)?;
    }
    for (name, file_system) in job.directories {
        host.add_directory(name, file_system).map_err(too_many)?;
    }
    host.add_directory("/dev".to_owned(), Arc::new(Devices))
        .map_err(too_many)?;
    Ok((host, stdout_tail, stderr_tail))
}

fn c_string(string: OsString) -> Result<Vec<u8>, Error> {
    let bytes = string.into_encoded_bytes();
    if bytes.contains(&0) {
        Err(Error::ZeroByte)
    } else {
        Ok(bytes)
    }
}
