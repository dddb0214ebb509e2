//! The one place that starts processes: a fixed environment, output into a log, and failures that can be pasted.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::error::environment;

/// One process to run.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub program: String,
    pub arguments: Vec<String>,
    pub directory: PathBuf,
    pub environment: BTreeMap<String, String>,
}

/// How many of the log's last lines an error shows.
const TAIL_LINES: usize = 25;

impl Invocation {
    pub fn new(program: impl Into<String>, directory: &Path) -> Invocation {
        Invocation {
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.to_owned(),
            environment: fixed_environment(),
        }
    }

    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Invocation {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Lets all variables of the user through, for clients that are configured by them.
    pub fn inherit_environment(mut self) -> Invocation {
        self.environment = inherited().chain(self.environment).collect();
        self
    }

    /// The command, ready to paste into a shell.
    pub fn pasteable(&self) -> String {
        let variables = self
            .environment
            .iter()
            .filter(|(name, value)| std::env::var(name).as_ref() != Ok(value))
            .map(|(name, value)| format!("{name}={}", quote(value)));
        let words = std::iter::once(&self.program)
            .chain(&self.arguments)
            .map(|word| quote(word));
        let line = variables.chain(words).collect::<Vec<_>>().join(" ");
        format!("cd {} && {line}", quote(&self.directory.display().to_string()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.environment);
        command
    }

    fn start_error(&self, error: std::io::Error) -> anyhow::Error {
        if error.kind() == std::io::ErrorKind::NotFound {
            return missing_program(&self.program).into();
        }
        anyhow::Error::from(error).context(format!("cannot start {}", self.program))
    }

    /// Runs to the end with everything it prints in `log`, which is appended to.
    pub fn run(&self, log: &Path) -> Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write the log {}", log.display()))?;
        writeln!(file, "$ {} {}", self.program, self.arguments.join(" "))?;
        let status = self
            .command()
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .map_err(|error| self.start_error(error))?;
        if status.success() {
            return Ok(());
        }
        let tail = last_lines(log)?;
        Err(anyhow!(
            "{} ended with {status}\ncommand: {}\nlog: {}\nits last lines:\n{tail}",
            self.program,
            self.pasteable(),
            log.display()
        ))
    }

    /// Runs to the end and returns what it printed on standard output.
    pub fn output(&self) -> Result<String> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.start_error(error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = message.lines().rev().take(TAIL_LINES).collect();
        let tail: Vec<_> = lines.into_iter().rev().collect();
        Err(anyhow!(
            "{} ended with {}\ncommand: {}\n{}",
            self.program,
            output.status,
            self.pasteable(),
            tail.join("\n")
        ))
    }

    /// Runs to the end, whatever that is, and returns what it printed on standard output.
    pub fn output_of_any_end(&self) -> Result<String> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|error| self.start_error(error))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs with what it prints in two files, and kills it with all that it has started when it takes longer than it may;
    /// then there is no status.
    pub fn run_within(&self, limit: Duration, output: File, errors: File) -> Result<Option<ExitStatus>> {
        let mut command = self.command();
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| self.start_error(error))?;
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() > limit {
                // The child has not been waited for, so its number is still its own.
                let group = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Runs with the terminal and returns its exit code, where no signal ended it.
    pub fn terminal_exit_code(&self) -> Result<Option<i32>> {
        let status = self.command().status().map_err(|error| self.start_error(error))?;
        Ok(status.code())
    }

    /// Runs with the terminal, for tools whose own output is the result; whether it succeeded.
    pub fn interactive(&self) -> Result<bool> {
        eprintln!("$ {}", self.pasteable());
        Ok(self
            .command()
            .status()
            .map_err(|error| self.start_error(error))?
            .success())
    }
}

/// This program, for processes of its own. Its file may be replaced while it runs, as by the tests that it starts; on Linux
/// the link in /proc leads to the old one all the same.
pub fn own_program() -> Result<PathBuf> {
    let link = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    match link.exists() {
        true => Ok(link),
        false => std::env::current_exe().context("cannot find this program's own file"),
    }
}

/// The user's variables. What is not UTF-8 is no setting of a program that is started here.
pub fn inherited() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The variables of every build process: nothing that differs between users. They are part of every step's key.
pub const FIXED_ENVIRONMENT: [(&str, &str); 3] = [("LC_ALL", "C"), ("SOURCE_DATE_EPOCH", "0"), ("TZ", "UTC")];

/// What the machine needs to find programs, and the fixed variables.
fn fixed_environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    [("PATH", path.as_str())]
        .into_iter()
        .chain(FIXED_ENVIRONMENT)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Names the command that installs a missing program.
pub fn missing_program(program: &str) -> crate::error::Failure {
    let package = match program {
        "make" => "make",
        "cc" | "gcc" => "gcc",
        "c++" | "g++" => "g++",
        "git" => "git",
        "strip" => "binutils",
        "npm" | "node" => "npm",
        "python3" => "python3-pip",
        "apt-get" | "apt-helper" => "apt",
        "cargo" => return environment("cargo is missing").hint("install Rust with rustup"),
        other => return environment(format!("the program {other} is missing")),
    };
    environment(format!("the program {program} is missing")).hint(format!("apt-get install {package}"))
}

/// Whether a program can be found on PATH.
pub fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// The first program of this name on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

pub fn last_lines(log: &Path) -> Result<String> {
    let mut file = File::open(log)?;
    let start_bytes = file.metadata()?.len().saturating_sub(16 << 10);
    file.seek(SeekFrom::Start(start_bytes))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

/// Whether a process of this id is there.
pub fn is_alive(id: i32) -> bool {
    match rustix::process::Pid::from_raw(id) {
        Some(pid) => rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH),
        None => true,
    }
}

/// Brings what was written to the disk, before a finished folder is renamed into place.
pub fn sync_disk() {
    rustix::fs::sync();
}

/// Makes a file that can be run.
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
