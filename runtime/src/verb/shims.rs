//! `afmpeg shims`: makes `ffmpeg` and `ffprobe` in a folder, which are this command.

use super::failure::Failure;
use super::info::print;
use super::module;
use crate::cli::{Sandbox, Shims};
use crate::policy::FILE_NAME;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, absolute};
use std::process::ExitCode;

const NAMES: [&str; 2] = ["ffmpeg", "ffprobe"];

/// What the file of policy says besides the module.
const EXPLANATION: &str = "\
# What ffmpeg and ffprobe of this folder may do: `sandbox`, and any long option of `afmpeg --help`.
#
# sandbox: what they reach of the machine.
#   \"dirs\"     the folders of `dir` and `dir-read-only`
#   \"files\"    also the very files that the arguments name
#   \"folders\"  also the folders of these files, inputs' for reading, and the current directory
#   \"machine\"  all files
# sandbox = \"folders\"
# dir = [\"/srv/out\"]
# dir-read-only = [\"/srv/media\"]
# memory-max = \"2G\"
# timeout = 3600
";

pub fn run(args: &Shims, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let module = module::find(sandbox)?;
    let module = absolute(&module).unwrap_or(module);
    if !module.is_file() {
        return Err(Failure::no_module(format!("{}: no such file", module.display())));
    }
    let failed = |path: &Path, error: io::Error| Failure::setup(format!("{}: {error}", path.display()));
    let command = env::current_exe().map_err(|error| Failure::setup(format!("this command is not found: {error}")))?;
    fs::create_dir_all(&args.folder).map_err(|error| failed(&args.folder, error))?;
    for name in NAMES {
        let path = args.folder.join(name).with_extension(env::consts::EXE_EXTENSION);
        if !is_shim(&path, &command) && path.symlink_metadata().is_ok() && !args.force {
            let message = format!("{} is there already; replace it with --force", path.display());
            return Err(Failure::setup(message));
        }
        replace(&path, &command).map_err(|error| failed(&path, error))?;
    }
    let policy = args.folder.join(FILE_NAME);
    // What somebody has written there stays.
    match fs::File::create_new(&policy) {
        Ok(mut file) => {
            let line = toml::to_string(&toml::Table::from_iter([(
                "module".to_owned(),
                toml::Value::String(module.display().to_string()),
            )]));
            let line = line.map_err(|error| Failure::setup(error.to_string()))?;
            let written = file.write_all(format!("{EXPLANATION}\n{line}").as_bytes());
            written.map_err(|error| failed(&policy, error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&policy, error)),
    }
    let folder = absolute(&args.folder).unwrap_or_else(|_| args.folder.clone());
    print(&format!("export PATH=\"{}:$PATH\"", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn is_shim(path: &Path, command: &Path) -> bool {
    path.canonicalize()
        .ok()
        .is_some_and(|path| command.canonicalize().ok() == Some(path))
}

/// Puts a link to the command there at once, so that a program that looks finds the old or the new one.
#[cfg(unix)]
fn replace(path: &Path, command: &Path) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => std::os::unix::fs::symlink(command, &new)?,
    }
    fs::rename(&new, path)
}

/// Links need rights on Windows that users do not have.
#[cfg(not(unix))]
fn replace(path: &Path, command: &Path) -> io::Result<()> {
    fs::copy(command, path).map(drop)
}
