//! A compiled module and the jobs that run on it.

use crate::cache_status::CacheStatus;
use crate::capacity::{Capacity, Stats};
use crate::engine::{Ending, EngineStatus, Guest, Program, Ran, Stop};
use crate::error::{Error, Trap};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::output::{Output, Timings};
use crate::preempt::Preemption;
use crate::queue::Member;
use crate::running::Running;
use crate::sandbox;
use crate::stdio::{Stdout, Tails};
use crate::trace::JobSpan;
use crate::wasi::{Host, cpu_time_of_this_thread};
use crate::watch::Watch;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A module, compiled once or loaded as a pack, that runs any number of jobs.
///
/// Cloning is cheap; all clones share the compiled code and the limit of jobs at a time. Jobs share nothing else: each
/// has its own memory, files and limits.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    program: Arc<Program>,
    line: Member,
    capacity: Capacity,
    preemption: Preemption,
    engine_status: EngineStatus,
    cache_status: CacheStatus,
}

impl Runtime {
    pub(crate) fn new(
        program: Program,
        capacity: Capacity,
        preemption: Preemption,
        engine_status: EngineStatus,
        cache_status: CacheStatus,
    ) -> Runtime {
        Runtime {
            shared: Arc::new(Shared {
                program: Arc::new(program),
                line: Member::new(capacity.shared.queue.clone()),
                capacity,
                preemption,
                engine_status,
                cache_status,
            }),
        }
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
        self.start(job, interrupt, called)?.wait(Some(place))
    }

    /// Runs a job beside those that have places. It is to spend its time waiting for them.
    pub(crate) fn run_beside(&self, job: Job) -> Result<Output, Error> {
        let called = Instant::now();
        let interrupt = self.prepare(&job, called)?;
        self.start(job, interrupt, called)?.wait(None)
    }

    /// Runs a job if there is a free place now, otherwise returns [`Error::Busy`].
    pub fn try_run(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let (job, called) = (job.into(), Instant::now());
        let interrupt = self.prepare(&job, called)?;
        let place = self.shared.line.try_enter()?;
        self.start(job, interrupt, called)?.wait(Some(place))
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
        let (host, tails) = sandbox::host(job, interrupt.clone(), &self.shared.capacity.shared.open_files)?;
        let host_memory = host.account.host_memory().clone();
        if interrupt.is_possible() {
            self.shared.program.prepare_stops()?;
        }
        let shared = self.shared.clone();
        let (job_tails, job_interrupt, job_span) = (tails.clone(), interrupt.clone(), span.clone());
        let work = move |running: &Running| {
            let run = || shared.run(host, &job_tails, memory_max_bytes, &job_interrupt, queue, running);
            job_span.in_scope(run)
        };
        let running = Running::start(self.shared.preemption, &self.shared.program, work)?;
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
        self.shared.program.prepare_stops()?;
        self.run(Job::new(["ffmpeg", "-version"]).stdout(Stdout::Discard))?;
        Ok(started.elapsed())
    }

    /// Returns what runs the programs.
    pub fn engine_status(&self) -> &EngineStatus {
        &self.shared.engine_status
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
            .field("engine", &self.shared.engine_status)
            .field("preemption", &self.shared.preemption)
            .field("capacity", &self.shared.capacity)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn run(
        &self,
        host: Host,
        tails: &Tails,
        memory_max_bytes: u64,
        interrupt: &Interrupt,
        queue: Duration,
        running: &Running,
    ) -> Result<Output, Error> {
        let guest = Guest::new(host, memory_max_bytes, running.figures.clone());
        let Ran {
            instantiate,
            run,
            stop,
            guest,
        } = self.program.run(guest, &running.thread)?;
        let mut output = Output {
            timings: Timings {
                queue,
                instantiate,
                run,
            },
            cpu_time: cpu_time_of_this_thread().unwrap_or_default(),
            host_memory_peak_bytes: guest.host.account.host_memory().peak(),
            ..tails.output()
        };
        running.figures.tell(&mut output);
        let trapped = match stop {
            None => None,
            Some(Stop::Ending(Ending::Exit(code))) => {
                output.exit_code = code;
                None
            }
            Some(Stop::Ending(Ending::Interrupted(interruption))) => return Err(interruption.error(output)),
            Some(Stop::Trap { reason, function }) => Some((reason, function)),
        };
        // A program that was stopped between its calls has trapped.
        let interruption = trapped.as_ref().and_then(|_| interrupt.check());
        match (interruption, guest.exceeded(), trapped) {
            (Some(interruption), ..) => Err(interruption.error(output)),
            (None, Some(exceeded), trapped) if trapped.is_some() || !output.success() => {
                Err(Error::limit(exceeded, output))
            }
            (None, _, Some((reason, function))) => Err(Error::Trap(Box::new(Trap {
                reason,
                function,
                output,
            }))),
            (None, _, None) => Ok(output),
        }
    }
}
