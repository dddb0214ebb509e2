//! The choice between signals and epochs.

use super::signals::SUPPORTED;

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
    pub(crate) fn or_what_is_supported(self) -> Preemption {
        match self {
            Preemption::Signals if SUPPORTED => Preemption::Signals,
            Preemption::Signals | Preemption::Epochs => Preemption::Epochs,
        }
    }
}
