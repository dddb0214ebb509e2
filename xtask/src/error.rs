//! Failures and the exit codes they end in.

use std::fmt;

/// What a failure means for the exit code. An error without one of these in its chain is a failed build or check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong arguments, an unknown profile, an invalid profile or pin file.
    Usage,
    /// Something is missing in the environment: a program, an input that no origin has, space on the disk.
    Environment,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Environment => 3,
        }
    }
}

/// The exit code of a build or check that failed.
pub const EXIT_CODE_FAILED: u8 = 1;

/// An error that knows its kind and what to try next.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

pub fn usage(message: impl Into<String>) -> Failure {
    Failure {
        kind: Kind::Usage,
        message: message.into(),
        hint: None,
    }
}

pub fn environment(message: impl Into<String>) -> Failure {
    Failure {
        kind: Kind::Environment,
        message: message.into(),
        hint: None,
    }
}

impl Failure {
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

/// Whether a write failed because the disk, a quota or a limit has no room for it.
fn is_no_room(cause: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(StorageFull | QuotaExceeded | FileTooLarge))
}

/// The exit code that the documentation promises for this error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.kind.exit_code();
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return Kind::Environment.exit_code();
        }
    }
    EXIT_CODE_FAILED
}

/// Prints the error, its causes and the hint of the innermost failure that has one, each once.
pub fn print(error: &anyhow::Error) {
    eprintln!("error: {error}");
    let mut hint = None;
    for (depth, cause) in error.chain().enumerate() {
        if depth > 0 {
            eprintln!("  because: {cause}");
        }
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            hint = failure.hint.as_ref().or(hint);
        }
    }
    if error.chain().any(is_no_room) {
        eprintln!("hint: free some space, or point AFMPEG_CACHE_DIR at another disk; finished steps are kept");
    }
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
}
