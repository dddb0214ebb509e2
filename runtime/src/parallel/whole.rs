//! The reason why a command is not cut.

use std::fmt;

/// Why a command is run as one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    reason: String,
}

impl Whole {
    pub(super) fn new(reason: impl Into<String>) -> Whole {
        Whole { reason: reason.into() }
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}
