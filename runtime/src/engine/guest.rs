//! A program's state, the same for either engine: what it can reach, and its limits.

use crate::budget::Budget;
use crate::fs::Exceeded;
use crate::interrupt::Interruption;
use crate::limit::Limit;
use crate::output::Figures;
use crate::wasi::{Errno, Failure, GuestMemory, Host};
use std::sync::Arc;

/// The state of one job's program.
pub(crate) struct Guest {
    pub host: Host,
    pub limiter: Limiter,
    /// The last limit that a host call reached.
    exceeded: Option<Exceeded>,
}

/// The ways in which a program ends by a call of the host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ending {
    #[error("exit code {0}")]
    Exit(i32),
    #[error("interrupted: {0:?}")]
    Interrupted(Interruption),
}

impl Guest {
    pub fn new(host: Host, memory_max_bytes: u64, figures: Arc<Figures>) -> Guest {
        let limiter = Limiter {
            memory_max_bytes,
            figures,
            refused: None,
            refused_more: 0,
            host_memory: host.account.host_memory().clone(),
        };
        Guest {
            host,
            limiter,
            exceeded: None,
        }
    }

    /// The limit that the program reached, if any; the one of its own memory comes first.
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.limiter.refused.or(self.exceeded)
    }

    /// Ends the program if it must end.
    pub fn check(&self) -> Result<(), Ending> {
        match self.host.interrupt.check() {
            Some(interruption) => Err(Ending::Interrupted(interruption)),
            None => Ok(()),
        }
    }

    /// Runs one host call on the program's memory, unless the job must end.
    pub fn call(
        &mut self,
        memory: &mut [u8],
        function: impl FnOnce(&mut Host, &mut GuestMemory) -> Result<(), Failure>,
    ) -> Result<u32, Ending> {
        self.check()?;
        let answer = function(&mut self.host, &mut GuestMemory(memory));
        let figures = &self.limiter.figures;
        figures.set_moved(self.host.bytes_read, self.host.account.bytes_written);
        let Err(failure) = answer else {
            return Ok(Errno::Success as u32);
        };
        if failure.exceeded.is_some() {
            self.exceeded = failure.exceeded;
        }
        if failure.errno == Errno::Intr {
            // Only an interruption of the job ends a wait with this.
            self.check()?;
        }
        Ok(failure.errno as u32)
    }
}

/// The limits of a program's memory and of the host's for its tables.
pub(crate) struct Limiter {
    memory_max_bytes: u64,
    figures: Arc<Figures>,
    /// Why the last attempt to grow failed, unless as much was granted since. Granting less does not mean that the program got
    /// by: it needs a little memory to fail, too.
    refused: Option<Exceeded>,
    /// How much that attempt asked for.
    refused_more: u64,
    host_memory: Arc<Budget>,
}

impl Limiter {
    /// Returns whether the memory may grow, in bytes, and notes it.
    pub fn memory_may_grow(&mut self, current: u64, desired: u64, maximum: Option<u64>) -> bool {
        let allowed = desired <= self.memory_max_bytes && maximum.is_none_or(|maximum| desired <= maximum);
        let more = desired.saturating_sub(current);
        if allowed {
            self.figures.set_memory(desired);
            self.refused = self.refused.filter(|_| more < self.refused_more);
        } else {
            self.refused = Some(Exceeded::new(Limit::Memory, self.memory_max_bytes, desired));
            self.refused_more = more;
        }
        allowed
    }

    /// Takes memory of the host's for a table, which grows by so much.
    pub fn take_for_table(&mut self, size_bytes: u64, more: u64) -> bool {
        match self.host_memory.take(size_bytes) {
            Ok(()) => true,
            Err(exceeded) => {
                self.refused = Some(exceeded);
                self.refused_more = more;
                false
            }
        }
    }

    pub fn give_back(&self, size_bytes: u64) {
        self.host_memory.give_back(size_bytes);
    }
}
