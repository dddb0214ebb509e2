//! What goes wrong with an attempt at a job, and whether another may do better.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Why an attempt did not make the job's outputs, apart from the program itself.
#[derive(Clone, Debug)]
pub struct Fault {
    pub reason: String,
    /// Whether it is worth another attempt: a store that does not answer is, an input that is not there is not.
    pub passes: bool,
}

impl Fault {
    pub fn lasting(reason: impl Into<String>) -> Fault {
        Fault {
            reason: reason.into(),
            passes: false,
        }
    }

    pub fn passing(reason: impl Into<String>) -> Fault {
        Fault {
            reason: reason.into(),
            passes: true,
        }
    }

    pub fn of_store(address: &str, error: &object_store::Error) -> Fault {
        use object_store::Error;
        match error {
            Error::NotFound { .. } => Fault::lasting(format!("{address}: there is no such object, or no such bucket")),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Fault::lasting(format!(
                "{address}: the store refuses this worker's credentials: {}",
                brief(error)
            )),
            Error::Precondition { .. } => Fault::lasting(format!("{address}: it was changed while it was read")),
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                Fault::lasting(format!("{address}: {}", brief(error)))
            }
            _ => Fault::passing(format!("{address}: {}", brief(error))),
        }
    }

    pub fn of_file(address: &str, error: &io::Error) -> Fault {
        let reason = format!("{address}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
                Fault::lasting(reason)
            }
            _ => Fault::passing(reason),
        }
    }
}

/// The longest that a store's words may be.
const WORDS_MAX: usize = 500;

fn brief(error: &object_store::Error) -> String {
    let words = error.to_string();
    words.chars().take(WORDS_MAX).collect()
}

/// The first fault that a job's files have had. The program only sees that a read or a write failed.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Notes it, and returns what the program sees.
    pub fn note(&self, fault: Fault) -> io::Error {
        let error = io::Error::other(fault.reason.clone());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(fault);
        error
    }

    pub fn first(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
