//! What runs modules is in the crate `lab`, which has an engine. This starts it with the arguments that this program was given.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::error::{EXIT_CODE_FAILED, environment};
use crate::process::Invocation;
use crate::project;

/// The package, and the variable that names its program where it is compiled already.
const PACKAGE: &str = "lab";
pub const PROGRAM_VARIABLE: &str = "AFMPEG_LAB";

/// Runs it as this program was run, with the terminal; its exit code is ours.
pub fn pass_on() -> Result<ExitCode> {
    let arguments = std::env::args().skip(1);
    let code = command(&project::root()?, arguments)?.terminal_exit_code()?;
    // What ended by a signal has no code.
    Ok(ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(EXIT_CODE_FAILED),
    ))
}

/// Its command line for these arguments.
pub fn command(root: &Path, arguments: impl IntoIterator<Item = String>) -> Result<Invocation> {
    let here = std::env::current_dir().map_err(|error| environment(format!("no current folder: {error}")))?;
    let invocation = match std::env::var(PROGRAM_VARIABLE) {
        Ok(program) => Invocation::new(program, &here),
        Err(_) => {
            let manifest = root.join("Cargo.toml").display().to_string();
            let cargo = ["run", "--manifest-path", &manifest, "--package", PACKAGE, "--"];
            Invocation::new("cargo", &here).arguments(cargo)
        }
    };
    let mut invocation = invocation.arguments(arguments).inherit_environment();
    for (name, _) in crate::process::FIXED_ENVIRONMENT {
        match std::env::var(name) {
            Ok(value) => drop(invocation.environment.insert(name.into(), value)),
            Err(_) => drop(invocation.environment.remove(name)),
        }
    }
    Ok(invocation)
}
