//! Verbs that another program does, started with the arguments that this one was given. So building compiles neither an engine
//! nor what signs and verifies.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::error::{EXIT_CODE_FAILED, environment};
use crate::process::{FIXED_ENVIRONMENT, Invocation};
use crate::project;

/// The variable that names the program of the crate `lab` where it is compiled already.
pub const LAB_VARIABLE: &str = "AFMPEG_LAB";

const LAB: &[&str] = &["--package", "lab"];
const RELEASE: &[&str] = &["--package", "xtask", "--features", "release"];

/// Measures or tests modules.
pub fn to_lab() -> Result<ExitCode> {
    run(&lab(&project::root()?, std::env::args().skip(1))?)
}

/// Changes pins, or makes a release.
pub fn to_release() -> Result<ExitCode> {
    run(&command(&project::root()?, None, RELEASE, std::env::args().skip(1))?)
}

/// The command that measures or tests modules, with these arguments.
pub fn lab(root: &Path, arguments: impl IntoIterator<Item = String>) -> Result<Invocation> {
    command(root, std::env::var(LAB_VARIABLE).ok(), LAB, arguments)
}

/// Runs it with the terminal; its exit code is ours.
fn run(invocation: &Invocation) -> Result<ExitCode> {
    let code = invocation.terminal_exit_code()?;
    // What ended by a signal has no code.
    let code = code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(EXIT_CODE_FAILED);
    Ok(ExitCode::from(code))
}

fn command(
    root: &Path,
    program: Option<String>,
    package: &[&str],
    arguments: impl IntoIterator<Item = String>,
) -> Result<Invocation> {
    let here = std::env::current_dir().map_err(|error| environment(format!("no current folder: {error}")))?;
    let invocation = match program {
        Some(program) => Invocation::new(program, &here),
        None => {
            let manifest = root.join("Cargo.toml").display().to_string();
            Invocation::new("cargo", &here)
                .arguments(["run", "--manifest-path", &manifest])
                .arguments(package.iter().copied())
                .arguments(["--"])
        }
    };
    let mut invocation = invocation.arguments(arguments).inherit_environment();
    // The other program fixes these where it must.
    for (name, _) in FIXED_ENVIRONMENT {
        match std::env::var(name) {
            Ok(value) => drop(invocation.environment.insert(name.into(), value)),
            Err(_) => drop(invocation.environment.remove(name)),
        }
    }
    Ok(invocation)
}
