//! The settings of a shim: a file of policy, and variables of the environment, which come first.

use crate::cli::{Cli, Sandbox};
use crate::grants::Level;
use clap::Parser;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::Value;

/// The name of the file of policy in the folder of the shims.
pub const FILE_NAME: &str = "afmpeg.toml";

/// What a shim may do.
pub struct Policy {
    pub level: Level,
    pub sandbox: Sandbox,
}

/// Reads the policy of the shim that is called by this name.
pub fn read(called: &OsStr) -> Result<Policy, String> {
    let file = match env::var_os("AFMPEG_POLICY") {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => beside(called),
    };
    let table = match &file {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            text.parse().map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => toml::Table::new(),
    };
    let file = file.map_or_else(|| "the policy".to_owned(), |path| path.display().to_string());
    let (mut level, mut words) = words(&table).map_err(|message| format!("{file}: {message}"))?;
    if let Some(text) = variable("AFMPEG_SANDBOX")? {
        level = text.parse().map_err(|message| format!("AFMPEG_SANDBOX: {message}"))?;
    }
    for (variable, option) in [("AFMPEG_DIRS", "--dir"), ("AFMPEG_DIRS_READ_ONLY", "--dir-read-only")] {
        let folders = env::var_os(variable).unwrap_or_default();
        for folder in env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
            words.extend([option.into(), folder.into_os_string()]);
        }
    }
    for prefix in variable("AFMPEG_ALLOW_URL")?.unwrap_or_default().split_whitespace() {
        words.push(format!("--allow-url={prefix}").into());
    }
    // The variable is stronger than the file, as the option is stronger than the variable.
    if env::var_os("AFMPEG_MODULE").is_some_and(|module| !module.is_empty()) {
        words.retain(|word| !word.to_string_lossy().starts_with("--module="));
    }
    let words = [OsString::from("afmpeg")]
        .into_iter()
        .chain(words)
        .chain(["ffmpeg".into()]);
    let mut cli = Cli::try_parse_from(words).map_err(|error| format!("{file}: {}", error.render()))?;
    // The level says what of the current directory is there.
    cli.sandbox.no_current_dir = true;
    Ok(Policy {
        level,
        sandbox: cli.sandbox,
    })
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// The options of this command that a table stands for.
fn words(table: &toml::Table) -> Result<(Level, Vec<OsString>), String> {
    let mut level = Level::default();
    let mut words = Vec::new();
    for (key, value) in table {
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::Boolean(false) => continue,
                Value::Boolean(true) => {
                    words.push(format!("--{key}").into());
                    continue;
                }
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                _ => return Err(format!("`{key}` is neither text, a number nor a list of these")),
            };
            match &**key {
                "sandbox" => level = text.parse()?,
                key => words.push(format!("--{key}={text}").into()),
            }
        }
    }
    Ok((level, words))
}

/// The file of policy in the folder of the shim, or of one that this is a link to.
fn beside(called: &OsStr) -> Option<PathBuf> {
    let called = Path::new(called);
    let has_folder = called.parent().is_some_and(|parent| !parent.as_os_str().is_empty());
    let mut shim = match has_folder {
        true => called.to_owned(),
        false => on_path(called)?.join(called),
    };
    for _ in 0..LINKS_MAX {
        let folder = shim.parent()?;
        let file = folder.join(FILE_NAME);
        match file.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Some(file),
        }
        shim = folder.join(fs::read_link(&shim).ok()?);
    }
    None
}

/// As many as a shim is reached by in earnest.
const LINKS_MAX: usize = 8;

/// The folder in which a shell finds the shim.
fn on_path(name: &Path) -> Option<PathBuf> {
    let command = env::current_exe().ok()?.canonicalize().ok()?;
    let path = env::var_os("PATH")?;
    env::split_paths(&path).find(|folder| folder.join(name).canonicalize().is_ok_and(|found| found == command))
}
