//! What runs programs: a module that wasmtime has compiled, or a pack.

mod calls;
mod choice;
mod guest;
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    path = "pack_unsupported.rs"
)]
pub(crate) mod pack;
#[cfg(feature = "compiler")]
pub(crate) mod wasmtime;

#[cfg(feature = "compiler")]
pub(crate) use calls::CHECK;
pub use choice::{Engine, EngineStatus};
pub(crate) use guest::{Ending, Guest};

use crate::error::Error;
use crate::output::Output;
use crate::preempt::{Preemption, Thread};
use std::time::Duration;

/// The native stack for the program's recursion.
const WASM_STACK_SIZE_BYTES: usize = 8 << 20;

/// The stack that a caller's file systems, streams and callbacks have at least, at any depth of the program: twice
/// Rust's default for a thread. The documentation of each place that takes such code states it.
const CALLERS_STACK_SIZE_BYTES: usize = 4 << 20;

/// The stack of a thread that runs a job: the program's and what the host calls need on top.
pub(crate) const THREAD_STACK_SIZE_BYTES: usize = WASM_STACK_SIZE_BYTES + CALLERS_STACK_SIZE_BYTES;

/// A program that can be run any number of times.
pub(crate) enum Program {
    #[cfg(feature = "compiler")]
    Compiled(Box<wasmtime::Program>),
    Pack(pack::Program),
}

/// A program that was run.
pub(crate) struct Ran {
    /// The time to create the sandbox.
    pub instantiate: Duration,
    pub run: Duration,
    /// How it ended, if it did not return.
    pub stop: Option<Stop>,
    pub guest: Guest,
}

pub(crate) enum Stop {
    /// By a call of the host.
    Ending(Ending),
    /// By a trap, or by a signal between two calls.
    Trap { reason: String, function: Option<String> },
}

impl Program {
    /// Prepares that jobs can be stopped while they compute.
    pub fn prepare_stops(&self) -> Result<(), Error> {
        match self {
            #[cfg(feature = "compiler")]
            Program::Compiled(program) => program.prepare_stops(),
            Program::Pack(program) => program.prepare_stops(),
        }
    }

    /// Runs the program on the current thread, which must be the job's own. It can be stopped meanwhile by way of
    /// `thread`.
    pub fn run(&self, guest: Guest, thread: &Thread) -> Result<Ran, Error> {
        match self {
            #[cfg(feature = "compiler")]
            Program::Compiled(program) => program.run(guest, thread),
            Program::Pack(program) => program.run(guest, thread),
        }
    }

    /// Tries to stop the program on a thread, whose deadline has passed or whose cancellation has come.
    pub fn stop(&self, thread: &Thread, preemption: Preemption) {
        match (self, preemption) {
            #[cfg(feature = "compiler")]
            (Program::Compiled(program), Preemption::Epochs) => program.increment_epoch(),
            _ => thread.stop(),
        }
    }
}

/// Returns the error that a program has no instance: its own memory may be larger than the job's limit.
fn not_started(guest: &Guest, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match guest.exceeded() {
        Some(exceeded) => Error::limit(exceeded, Output::default()),
        None => Error::Instantiate { source },
    }
}
