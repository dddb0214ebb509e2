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
    // Errors of the system lie in the chain, ours may be the context of another: anyhow finds those by itself.
    if error.chain().any(is_no_room) {
        return Kind::Environment.exit_code();
    }
    error
        .downcast_ref::<Failure>()
        .map_or(EXIT_CODE_FAILED, |failure| failure.kind.exit_code())
}

/// What to try next, where the error knows it.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    if error.chain().any(is_no_room) {
        return Some("free some space, or point AFMPEG_CACHE_DIR at another disk; finished steps are kept");
    }
    error.downcast_ref::<Failure>()?.hint.as_deref()
}

/// Prints the error, its causes and its hint, each once.
pub fn print(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}
