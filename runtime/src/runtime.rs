//! A compiled module and the jobs that run on it.

use crate::budget::Budget;
use crate::bulk;
use crate::cache::{self, Cache, CacheStatus};
use crate::capacity::{Capacity, CapacityBuilder, Stats};
use crate::engine::{self, Ending, State};
use crate::error::{Error, Trap};
use crate::fs::Devices;
use crate::interrupt::Interrupt;
use crate::job::{Figures, Job, Limit, Output, Timings};
use crate::module;
use crate::preempt::{self, CodeMap};
use crate::queue::Member;
use crate::running::{Running, Watch};
use crate::stdio::{SharedTail, Stdout, Stream, take_tail};
use crate::trace::JobSpan;
use crate::wasi::abi::Failure;
use crate::wasi::{Clock, Host, Random, Setup, cpu_time_of_this_thread};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wasmtime::{Engine, ExternType, InstancePre, Module};

/// A module, compiled once, that runs any number of jobs.
///
/// Cloning is cheap; all clones share the compiled code and the limit of jobs at a time. Jobs share nothing else: each
/// has its own memory, files and limits.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    program: InstancePre<State>,
    line: Member,
    capacity: Capacity,
    preemption: Preemption,
    code_map: OnceLock<CodeMap>,
    cache_status: CacheStatus,
}

/// The way in which a program that computes without calls is ended at its deadline or by its cancellation.
///
/// Waits (for time, input or a place in line) end in the same way with either of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preemption {
    /// The computing thread gets a signal. This costs nothing until then, and is the default on Linux, on x86-64 and
    /// AArch64. On other systems epochs are used instead.
    ///
    /// The signal is `SIGURG`, for which a handler is installed when the first job has a deadline or a cancellation. A
    /// handler that was there before is still called for signals that are not the runtime's own. A handler that is
    /// installed later must forward them too, or jobs are not stopped.
    Signals,
    /// The program checks, at the start of each loop and function, whether it must stop. This needs no signals, but
    /// makes its code slower: by a few per cent if it is scalar, by half and more in vectorised loops.
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
    /// A program that opens one more gets an error; if it then fails, the caller gets [`Limit::RuntimeOpenFiles`].
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
        Ok(Runtime {
            shared: Arc::new(Shared {
                engine,
                program,
                line: Member::new(capacity.shared.queue.clone()),
                capacity,
                preemption: self.preemption,
                code_map: OnceLock::new(),
                cache_status,
            }),
        })
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

    /// Runs a job to its end; can be called from many threads.
    ///
    /// A plain list of arguments is a job as well: `runtime.run(["ffmpeg", "-version"])`.
    ///
    /// After a deadline or cancellation this returns soon, whatever the job does. If the job is then in a call of a
    /// caller's file system or stream that does not return, its thread is left to that call and ends when the call
    /// does, without running any more of the program; [`Runtime::stats`] counts it until then.
    pub fn run(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let (job, called) = (job.into(), Instant::now());
        let interrupt = self.prepare(&job, called)?;
        let place = self.shared.line.enter_blocking(job.priority, &interrupt)?;
        self.start(job, interrupt, called)?.wait(place)
    }

    /// Runs a job if there is a free place now, otherwise returns [`Error::Busy`].
    pub fn try_run(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let (job, called) = (job.into(), Instant::now());
        let interrupt = self.prepare(&job, called)?;
        let place = self.shared.line.try_enter()?;
        self.start(job, interrupt, called)?.wait(place)
    }

    /// Returns the causes that may end a job, before it has a place.
    pub(crate) fn prepare(&self, job: &Job, called: Instant) -> Result<Interrupt, Error> {
        self.shared.capacity.shared.check_left_behind()?;
        Ok(Interrupt {
            cancellations: job.cancellations.clone(),
            deadline: job.timeout.and_then(|timeout| called.checked_add(timeout)),
        })
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn enter(&self, priority: i32) -> crate::queue::Enter<'_> {
        self.shared.line.enter(priority)
    }

    /// Starts a job that has a place.
    pub(crate) fn start(&self, job: Job, interrupt: Interrupt, called: Instant) -> Result<Watch<'_>, Error> {
        let queue = called.elapsed();
        let started = Instant::now();
        let span = JobSpan::new(&job);
        span.started(queue);
        let memory_max_bytes = job.memory_max_bytes;
        let (host, tails) = host(job, interrupt.clone(), &self.shared.capacity.shared.open_files)?;
        let host_memory = host.account.host_memory().clone();
        if interrupt.is_possible() && self.shared.preemption == Preemption::Signals {
            self.shared.code_map()?;
        }
        let shared = self.shared.clone();
        let (job_tails, job_interrupt, job_span) = (tails.clone(), interrupt.clone(), span.clone());
        let work = move |running: &Running| {
            let run = || {
                shared.run(
                    host,
                    &job_tails,
                    memory_max_bytes,
                    &job_interrupt,
                    queue,
                    &running.figures,
                )
            };
            job_span.in_scope(|| running.thread.run(shared.code_map.get(), run))
        };
        let running = Running::start(self.shared.preemption, &self.shared.engine, work)?;
        Ok(Watch {
            running,
            supervisor: &self.shared.capacity.shared.supervisor,
            interrupt,
            tails,
            queue,
            started,
            host_memory,
            stopping_since: None,
            done: false,
            span,
            cancel_when_dropped: None,
            registered: Vec::new(),
        })
    }

    /// Prepares what the first job would otherwise wait for.
    ///
    /// The module was compiled, or loaded from the cache, when this runtime was made; this loads its code into memory
    /// and prepares interruptions. Returns the time that it took.
    pub fn warm_up(&self) -> Result<Duration, Error> {
        let started = Instant::now();
        if self.shared.preemption == Preemption::Signals {
            self.shared.code_map()?;
        }
        self.run(Job::new(["ffmpeg", "-version"]).stdout(Stdout::Discard))?;
        Ok(started.elapsed())
    }

    /// Returns the outcome of the cache of compiled code when this runtime was made.
    pub fn cache_status(&self) -> &CacheStatus {
        &self.shared.cache_status
    }

    /// Lets the running jobs finish, and refuses all others with [`Error::Closed`].
    pub fn close(&self) {
        self.shared.line.close();
    }

    /// Closes, and waits up to this time for the running jobs to finish; if they have not, it returns
    /// [`Error::Draining`].
    ///
    /// To end those too, cancel them: a service gives all its jobs one [`Cancellation`](crate::Cancellation) of its
    /// own.
    pub fn drain(&self, timeout: Duration) -> Result<(), Error> {
        let drained = self.shared.line.drain(timeout);
        drained.map_err(|running| Error::Draining { running })
    }

    /// Returns the numbers of running and waiting jobs, of this runtime and of those that share its [`Capacity`].
    pub fn stats(&self) -> Stats {
        self.shared.capacity.stats()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Runtime")
            .field("preemption", &self.shared.preemption)
            .field("capacity", &self.shared.capacity)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Determined for the first job that needs it, since it takes a moment.
    fn code_map(&self) -> Result<&CodeMap, Error> {
        if let Some(code_map) = self.code_map.get() {
            return Ok(code_map);
        }
        let code_map = CodeMap::new(&self.engine, self.program.module());
        let code_map = code_map.map_err(|source| Error::Engine { source: source.into() })?;
        Ok(self.code_map.get_or_init(|| code_map))
    }

    fn run(
        &self,
        host: Host,
        tails: &Tails,
        memory_max_bytes: u64,
        interrupt: &Interrupt,
        queue: Duration,
        figures: &Arc<Figures>,
    ) -> Result<Output, Error> {
        let started = Instant::now();
        let mut store = engine::store(&self.engine, host, memory_max_bytes, self.preemption, figures);
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
            cpu_time: cpu_time_of_this_thread().unwrap_or_default(),
            host_memory_peak_bytes: state.host.account.host_memory().peak(),
            ..tails.output()
        };
        figures.tell(&mut output);
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

/// The captured part of a job's two output streams.
#[derive(Clone)]
pub(crate) struct Tails {
    stdout: SharedTail,
    stderr: SharedTail,
}

impl Tails {
    pub fn output(&self) -> Output {
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
        .and_then(|frames| frames.iter().find(|frame| !bulk::is_added(frame.func_name())))
        .map(|frame| match frame.func_name() {
            Some(name) => name.to_owned(),
            None => {
                let index = bulk::original_index(frame.module(), frame.func_index());
                format!("function {index}")
            }
        });
    Trap {
        reason: error.root_cause().to_string(),
        function,
        output,
    }
}

/// Sets up everything that the job's program can reach, and the capture of its two output streams.
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
