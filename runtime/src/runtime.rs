//! A compiled module and the jobs that run on it.

use crate::budget::Budget;
use crate::cache::{self, Cache};
use crate::engine::{self, Ending, State};
use crate::error::{Error, Trap};
use crate::fs::Devices;
use crate::interrupt::{Interrupt, WAIT_SLICE};
use crate::job::{Job, Limit, Output, Timings};
use crate::module;
use crate::preempt::{self, CodeMap};
use crate::queue::Queue;
use crate::stdio::{SharedTail, Stdout, Stream, take_tail};
use crate::wasi::abi::Failure;
use crate::wasi::{Clock, Host, Random, Setup};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
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
    open_files: Arc<Budget>,
    preemption: Preemption,
    code_map: OnceLock<CodeMap>,
}

/// How a program that computes and makes no call is ended at its deadline or by its cancellation.
///
/// What a program waits for (time, input, its place in line) is given up in the same way with either of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preemption {
    /// The thread that computes gets a signal. This costs nothing until then, and is the default where there is a
    /// choice: on Linux, on x86-64 and AArch64. Elsewhere epochs take its place.
    ///
    /// The signal is `SIGURG`, for which a handler is installed when the first job has a deadline or a cancellation. A
    /// handler that was there before is still called for signals that are not the runtime's own; one that takes its
    /// place later must do the same, or jobs are not stopped.
    Signals,
    /// The program looks, at the head of each loop and function, whether it is to stop. This depends on nothing but
    /// its own code, which is slower: by a few per cent where it is scalar, by half and more in vectorised loops.
    Epochs,
}

impl Default for Preemption {
    fn default() -> Preemption {
        Preemption::Signals.or_what_is_supported()
    }
}

impl Preemption {
    fn or_what_is_supported(self) -> Preemption {
        match self {
            Preemption::Signals if preempt::SUPPORTED => Preemption::Signals,
            Preemption::Signals | Preemption::Epochs => Preemption::Epochs,
        }
    }
}

/// How long after a failed attempt to stop a program the next one is made.
const STOP_INTERVAL: Duration = Duration::from_millis(1);

/// How long a program that is to stop is waited for. It is stopped at once unless it is in a call that does not end: of
/// a caller's own stream, or of a copy of gigabytes.
const STOP_PATIENCE: Duration = Duration::from_millis(20);

/// How a [`Runtime`] is to be made.
#[derive(Clone, Debug, Default)]
pub struct RuntimeBuilder {
    cache_folder: Option<PathBuf>,
    max_concurrency: Option<usize>,
    open_files_max: Option<u64>,
    preemption: Preemption,
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

    /// How many files all jobs together may have open, each of which may be one of this process's own; by default half of
    /// what the process may have (the soft limit of `RLIMIT_NOFILE`), and 8192 where there is no such limit.
    ///
    /// A program that wants one more is told that it has too many, [`Limit::RuntimeOpenFiles`].
    pub fn open_files_max(mut self, count: u64) -> RuntimeBuilder {
        self.open_files_max = Some(count);
        self
    }

    /// How programs that compute are stopped; by signals, where the system allows it.
    pub fn preemption(mut self, preemption: Preemption) -> RuntimeBuilder {
        self.preemption = preemption.or_what_is_supported();
        self
    }

    /// Makes a runtime from a module's file, which may be compressed with gzip or brotli.
    pub fn from_file(&self, path: impl AsRef<Path>) -> Result<Runtime, Error> {
        let path = path.as_ref();
        let unreadable = |source| Error::ModuleUnreadable {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = &self.cache_folder {
            // Hashed piece by piece: a module whose code is at hand need not be in memory.
            let file = File::open(path).map_err(unreadable)?;
            let hash = cache::hash(file).map_err(unreadable)?;
            let engine = self.engine()?;
            let cache = Cache::open(folder)?;
            if let Some(module) = load(&engine, &cache, &cache::key(&engine, &hash)) {
                return self.runtime(engine, &module);
            }
        }
        self.from_bytes(&std::fs::read(path).map_err(unreadable)?)
    }

    /// Makes a runtime from a module of a release, which is verified first and downloaded if it has to be.
    #[cfg(feature = "pull")]
    pub fn from_source(&self, source: &crate::ModuleSource) -> Result<Runtime, Error> {
        self.from_file(source.path()?)
    }

    /// Makes a runtime from a module's bytes, which may be compressed with gzip or brotli.
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Runtime, Error> {
        let engine = self.engine()?;
        let module = match &self.cache_folder {
            Some(folder) => cached(&engine, &Cache::open(folder)?, bytes)?,
            None => compile(&engine, bytes)?,
        };
        self.runtime(engine, &module)
    }

    fn engine(&self) -> Result<Engine, Error> {
        engine::engine(self.preemption).map_err(|source| Error::Engine { source: source.into() })
    }

    fn runtime(&self, engine: Engine, module: &Module) -> Result<Runtime, Error> {
        check_program(module)?;
        let linker = engine::linker(&engine).map_err(|source| Error::Engine { source: source.into() })?;
        let program = linker.instantiate_pre(module).map_err(|source| Error::NotAProgram {
            reason: source.to_string(),
        })?;
        let jobs = self
            .max_concurrency
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let open_files_max = self.open_files_max.unwrap_or_else(open_files_default);
        Ok(Runtime {
            shared: Arc::new(Shared {
                engine,
                program,
                queue: Queue::new(jobs),
                open_files: Arc::new(Budget::new(Limit::RuntimeOpenFiles, open_files_max)),
                preemption: self.preemption,
                code_map: OnceLock::new(),
            }),
        })
    }
}

/// The other half is left for the sockets and files of whoever uses the runtime.
fn open_files_default() -> u64 {
    const WITHOUT_LIMIT: u64 = 8192;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile)
            .current
            .map_or(WITHOUT_LIMIT, |count| count / 2)
    }
    #[cfg(not(unix))]
    WITHOUT_LIMIT
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
    let wasm = module::decompress(bytes)?;
    Module::new(engine, &wasm).map_err(|source| Error::ModuleInvalid { source: source.into() })
}

fn cached(engine: &Engine, cache: &Cache, bytes: &[u8]) -> Result<Module, Error> {
    let key = cache::key(engine, &blake3::hash(bytes));
    if let Some(module) = load(engine, cache, &key) {
        return Ok(module);
    }
    let module = compile(engine, bytes)?;
    let code = module
        .serialize()
        .map_err(|source| Error::Engine { source: source.into() })?;
    cache.store(&key, &code)?;
    Ok(module)
}

fn load(engine: &Engine, cache: &Cache, key: &str) -> Option<Module> {
    let file = cache.find(key)?;
    // SAFETY: the file lies in a folder that only this user can change, and was written there by `Cache::store`
    // from the output of the same compiler for the same module; it has the size that it was written with.
    match unsafe { Module::deserialize_open_file(engine, file) } {
        Ok(module) => Some(module),
        Err(_) => {
            cache.discard(key);
            None
        }
    }
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
    ///
    /// A deadline or cancellation makes this return soon, whatever the job does. If it is in a call of a file system or
    /// stream of the caller's own that does not return, its thread is left to that call, and ends when the call does,
    /// without running any more of the program.
    pub fn run(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let job = job.into();
        let called = Instant::now();
        let interrupt = Interrupt {
            cancellation: job.cancellation.clone(),
            deadline: job.timeout.and_then(|timeout| called.checked_add(timeout)),
        };
        let _place = self.shared.queue.enter(&interrupt)?;
        let queue = called.elapsed();
        let started = Instant::now();
        let memory_max_bytes = job.memory_max_bytes;
        let (host, tails) = host(job, interrupt.clone(), &self.shared.open_files)?;
        if interrupt.is_possible() && self.shared.preemption == Preemption::Signals {
            self.shared.code_map()?;
        }

        let stoppable = Arc::new(preempt::Thread::default());
        let (sender, result) = mpsc::sync_channel(1);
        let shared = self.shared.clone();
        let (job_tails, job_stoppable, job_interrupt) = (tails.clone(), stoppable.clone(), interrupt.clone());
        let job_thread = move || {
            preempt::accept_signals();
            let run = || shared.run(host, &job_tails, memory_max_bytes, &job_interrupt, queue);
            let result = match shared.code_map.get() {
                Some(code_map) => job_stoppable.run(code_map, run),
                None => run(),
            };
            // Nobody waits any more for a thread that was left behind.
            let _ = sender.send(result);
        };
        // A program may need more stack than the caller's thread has.
        let thread = thread::Builder::new().name("afmpeg job".to_owned());
        let thread = thread.stack_size(engine::THREAD_STACK_SIZE_BYTES).spawn(job_thread);
        let thread = thread.map_err(|source| Error::Thread { source })?;
        let running = Running {
            shared: &self.shared,
            thread,
            stoppable,
        };

        let mut wait = interrupt.deadline.map_or(WAIT_SLICE, |_| Duration::ZERO);
        let mut stopping_since: Option<Instant> = None;
        loop {
            let received = match interrupt.is_possible() {
                true => result.recv_timeout(wait),
                false => result.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(result) => {
                    running.join();
                    return result;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    running.join();
                    let source = io::Error::other("it ended without a result");
                    return Err(Error::Thread { source });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let Some(interruption) = interrupt.check() else {
                let left = interrupt
                    .deadline
                    .map(|deadline| deadline.saturating_duration_since(Instant::now()));
                wait = left.map_or(WAIT_SLICE, |left| left.min(WAIT_SLICE));
                continue;
            };
            running.stop();
            wait = STOP_INTERVAL;
            if stopping_since.get_or_insert_with(Instant::now).elapsed() > STOP_PATIENCE {
                running.leave()?;
                let mut output = tails.output();
                output.timings.queue = queue;
                output.timings.run = started.elapsed();
                return Err(interruption.error(output));
            }
        }
    }

    /// Makes ready what the first job would otherwise wait for.
    ///
    /// The module was compiled, or taken from the cache, when this runtime was made; what is left is to load its code
    /// and to find what interruptions need. Returns how long that took.
    pub fn warm_up(&self) -> Result<Duration, Error> {
        let started = Instant::now();
        if self.shared.preemption == Preemption::Signals {
            self.shared.code_map()?;
        }
        self.run(Job::new(["ffmpeg", "-version"]).stdout(Stdout::Discard))?;
        Ok(started.elapsed())
    }

    /// Lets the running jobs finish, and refuses all others with [`Error::Closed`].
    pub fn close(&self) {
        self.shared.queue.close();
    }
}

/// A job's thread, from outside.
struct Running<'a> {
    shared: &'a Arc<Shared>,
    thread: JoinHandle<()>,
    stoppable: Arc<preempt::Thread>,
}

impl Running<'_> {
    fn stop(&self) {
        // SAFETY: the thread is not joined before this value is gone.
        unsafe { self.shared.stop(&self.stoppable) };
    }

    fn join(self) {
        if let Err(panic) = self.thread.join() {
            // A file system or a stream of the caller's own panicked, and the panic is the caller's to see.
            std::panic::resume_unwind(panic);
        }
    }

    /// Has another thread see to it that this one ends, whenever it comes back from its call.
    fn leave(self) -> Result<(), Error> {
        let (shared, stoppable, job_thread) = (self.shared.clone(), self.stoppable, self.thread);
        let see_to_its_end = move || {
            let mut wait = STOP_INTERVAL;
            while !job_thread.is_finished() {
                // SAFETY: the thread is never joined.
                unsafe { shared.stop(&stoppable) };
                thread::sleep(wait);
                // The program may still run between two attempts, but not for long at a time.
                wait = (wait * 2).min(WAIT_SLICE);
            }
        };
        let thread = thread::Builder::new()
            .name("afmpeg stop".to_owned())
            .spawn(see_to_its_end);
        thread.map(drop).map_err(|source| Error::Thread { source })
    }
}

impl Shared {
    /// Found out when the first job wants it, as it takes a moment.
    fn code_map(&self) -> Result<&CodeMap, Error> {
        if let Some(code_map) = self.code_map.get() {
            return Ok(code_map);
        }
        let code_map = CodeMap::new(&self.engine, self.program.module());
        let code_map = code_map.map_err(|source| Error::Engine { source: source.into() })?;
        Ok(self.code_map.get_or_init(|| code_map))
    }

    /// Tries to stop a job whose interruption has come.
    ///
    /// # Safety
    ///
    /// The thread must not have been joined.
    unsafe fn stop(&self, thread: &preempt::Thread) {
        match self.preemption {
            // SAFETY: the caller vouches for the thread.
            Preemption::Signals => unsafe { thread.stop() },
            // The programs of all jobs look up, and those that are not meant go on.
            Preemption::Epochs => self.engine.increment_epoch(),
        }
    }

    fn run(
        &self,
        host: Host,
        tails: &Tails,
        memory_max_bytes: u64,
        interrupt: &Interrupt,
        queue: Duration,
    ) -> Result<Output, Error> {
        let started = Instant::now();
        let mut store = engine::store(&self.engine, host, memory_max_bytes, self.preemption);
        let start = engine::instantiate(&self.program, &mut store);
        let instantiate = started.elapsed();
        let result = match start {
            Ok(start) => start.call(&mut store, ()),
            Err(error) if error.is::<wasmtime::Trap>() || error.is::<Ending>() => Err(error),
            // The module's own memory may be larger than the job's limit.
            Err(error) => {
                return Err(match store.data().exceeded() {
                    Some(exceeded) => Error::limit(exceeded, Output::default()),
                    None => Error::Instantiate { source: error.into() },
                });
            }
        };

        let state = store.data();
        let mut output = Output {
            timings: Timings {
                queue,
                instantiate,
                run: started.elapsed() - instantiate,
            },
            memory_peak_bytes: state.limiter.memory_peak_bytes,
            bytes_read: state.host.bytes_read,
            bytes_written: state.host.account.bytes_written,
            host_memory_peak_bytes: state.host.account.host_memory().peak(),
            ..tails.output()
        };
        let trapped = match result {
            Ok(()) => None,
            Err(error) => match error.downcast_ref::<Ending>() {
                Some(Ending::Exit(code)) => {
                    output.exit_code = *code;
                    None
                }
                Some(Ending::Interrupted(interruption)) => return Err(interruption.error(output)),
                None => Some(error),
            },
        };
        // A program that was stopped between its calls has trapped.
        let interruption = trapped.as_ref().and_then(|_| interrupt.check());
        match (interruption, state.exceeded(), trapped) {
            (Some(interruption), ..) => Err(interruption.error(output)),
            (None, Some(exceeded), trapped) if trapped.is_some() || !output.success() => {
                Err(Error::limit(exceeded, output))
            }
            (None, _, Some(error)) => Err(Error::Trap(Box::new(trap(&error, output)))),
            (None, _, None) => Ok(output),
        }
    }
}

/// What has been captured of a job's two output streams.
#[derive(Clone)]
struct Tails {
    stdout: SharedTail,
    stderr: SharedTail,
}

impl Tails {
    fn output(&self) -> Output {
        let (stdout, stdout_dropped_bytes) = take_tail(&self.stdout);
        let (stderr, stderr_dropped_bytes) = take_tail(&self.stderr);
        Output {
            stdout,
            stdout_dropped_bytes,
            stderr,
            stderr_dropped_bytes,
            ..Output::default()
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
fn host(job: Job, interrupt: Interrupt, open_files: &Arc<Budget>) -> Result<(Host, Tails), Error> {
    let args = job.args.into_iter().map(c_string).collect::<Result<_, _>>()?;
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        c_string(name)
    };
    let env = job.env.into_iter().map(variable).collect::<Result<_, _>>()?;

    let random = Arc::new(job.random_seed.map_or(Random::System, Random::seeded));

    let file_systems = job.directories.iter().map(|(_, file_system)| file_system);
    let host_memory = Arc::new(Budget::host_memory(job.host_memory_max_bytes, file_systems));

    let failed = |source| Error::Stdio { source };
    let stdin = Stream::input(job.stdin).map_err(failed)?;
    let (stdout, tail_of_stdout) = Stream::output(job.stdout, &io::stdout(), &host_memory).map_err(failed)?;
    let (stderr, tail_of_stderr) = Stream::output(job.stderr, &io::stderr(), &host_memory).map_err(failed)?;

    let mut host = Host::new(Setup {
        args,
        env,
        interrupt,
        clock: job.clock_start.map_or_else(Clock::real, Clock::fixed),
        random: random.clone(),
        open_files_max: job.open_files_max,
        written_max_bytes: job.written_max_bytes,
        names_max: job.names_max,
        host_memory,
        open_files: open_files.clone(),
    });
    let too_many = |failure: Failure| match failure.exceeded {
        Some(exceeded) if exceeded.limit != Limit::OpenFiles => Error::limit(exceeded, Output::default()),
        _ => Error::TooManyDirectories,
    };
    for stream in [stdin, stdout, stderr] {
        host.add_stream(stream).map_err(too_many)?;
    }
    for (name, file_system) in job.directories {
        host.add_directory(name, file_system).map_err(too_many)?;
    }
    host.add_directory("/dev".to_owned(), Arc::new(Devices(random)))
        .map_err(too_many)?;
    let tails = Tails {
        stdout: tail_of_stdout,
        stderr: tail_of_stderr,
    };
    Ok((host, tails))
}

fn c_string(string: OsString) -> Result<Vec<u8>, Error> {
    let bytes = string.into_encoded_bytes();
    if bytes.contains(&0) {
        Err(Error::ZeroByte)
    } else {
        Ok(bytes)
    }
}
