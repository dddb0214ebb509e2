//! `cargo xtask program`: what FATE's makefiles run every program with. It is our runtime as a person would use it, on the
//! current folder and nothing else, and it ends with the run that it belongs to.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use afmpeg::{Access, Error, HostDir, Job, Pack, Stdin, Stdout};
use anyhow::{Context, Result};

use crate::module;
use xtask::flags::Program;
use xtask::process;

/// The program crashed, or the runtime could not run it.
const EXIT_CODE_CRASHED: u8 = 70;
/// It took longer than it may, or the run that it belongs to is over.
const EXIT_CODE_ENDED: i32 = 124;

pub fn run(flags: &Program) -> ExitCode {
    let (owner, limit, started) = (flags.owner, flags.limit, Instant::now());
    // A program that computes without end is only ended with its process.
    thread::spawn(move || {
        while process::is_alive(owner) && started.elapsed() < limit {
            thread::sleep(Duration::from_millis(200));
        }
        eprintln!("ended after {:.0} s", started.elapsed().as_secs_f64());
        std::process::exit(EXIT_CODE_ENDED);
    });
    match run_program(flags) {
        // A status has eight bits, and what is no success must not become one.
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(match code as u8 {
            0 => u8::MAX,
            low_byte => low_byte,
        }),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(EXIT_CODE_CRASHED)
        }
    }
}

fn run_program(flags: &Program) -> Result<i32> {
    let path = Path::new(&flags.command[0]);
    let current = std::env::current_dir().context("no current folder")?;
    let runtime = match &flags.pack {
        // Other programs of the tests have none.
        Some(record) if module::is_module(path) => {
            module::load_pack(path, &Pack::from_record(record)?, &flags.compiled)?
        }
        _ => module::load(path, &flags.compiled)?,
    };
    let folder = Arc::new(HostDir::read_write(&current)?);
    let mut job = Job::new(&flags.command)
        .stdin(Stdin::Inherit)
        .stdout(Stdout::Inherit)
        .stderr(Stdout::Inherit)
        .file_system(".", folder.clone())
        .file_system(current.display().to_string(), folder);
    if let Some(read) = &flags.read {
        job = job.dir(read.display().to_string(), read, Access::ReadOnly)?;
    }
    match runtime.run(job) {
        Ok(output) => Ok(output.exit_code),
        Err(Error::Trap(trap)) => {
            anyhow::bail!("trap: {} in {}", trap.reason, trap.function.unwrap_or_default())
        }
        Err(error) => Err(error.into()),
    }
}
