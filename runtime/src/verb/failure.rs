//! What a subcommand fails with.

use afmpeg::{Error, Output};
use std::process::ExitCode;

/// A subcommand's own failure, as opposed to that of the program it runs.
pub struct Failure {
    exit_code: u8,
    message: String,
}

impl Failure {
    pub fn usage(message: String) -> Failure {
        Failure { exit_code: 2, message }
    }

    pub fn no_module(message: String) -> Failure {
        Failure { exit_code: 3, message }
    }

    pub fn setup(message: String) -> Failure {
        Failure { exit_code: 5, message }
    }

    pub fn deadline() -> Failure {
        let message = "the time given with --timeout is over".to_owned();
        Failure {
            exit_code: 124,
            message,
        }
    }

    /// The requested job failed, for reasons of its own.
    pub fn job(message: String) -> Failure {
        Failure { exit_code: 1, message }
    }

    /// With the program's own exit code, where it has ended with one.
    pub fn with_code_of(self, output: &Output) -> Failure {
        let code = u8::try_from(output.exit_code).ok().filter(|code| *code > 0);
        Failure {
            exit_code: code.unwrap_or(self.exit_code),
            ..self
        }
    }

    pub fn report(self) -> ExitCode {
        eprintln!("afmpeg: {}", printable(&self.message));
        ExitCode::from(self.exit_code)
    }
}

/// What a file may have made up, without what a terminal would obey; lines stay.
pub fn printable(text: &str) -> String {
    text.replace(|character: char| character.is_control() && character != '\n', "?")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit_code = match &error {
            Error::ModuleUnreadable { .. } | Error::Release { .. } => 3,
            Error::ModuleFormat
            | Error::ModuleCompression { .. }
            | Error::ModuleInvalid { .. }
            | Error::NotAProgram { .. }
            | Error::Pack { .. }
            | Error::NoPack
            | Error::NoCompiler => 4,
            Error::Directory { .. } | Error::NoFonts { .. } | Error::Stdio { .. } | Error::TooManyDirectories => 5,
            Error::Program { .. } | Error::Limit { .. } | Error::NoFrame { .. } | Error::Frame { .. } => 1,
            Error::ProbeTooLarge { .. } => 1,
            Error::Whole { .. } | Error::Segments { .. } => 1,
            Error::Deadline { .. } => 124,
            _ => 70,
        };
        Failure {
            exit_code,
            message: error.chain(),
        }
    }
}
