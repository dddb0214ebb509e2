//! `afmpeg --parallel ffmpeg`: one command on all cores.

use super::failure::Failure;
use super::info::print;
use super::module::default_folder;
use super::progress::Bar;
use super::signals;
use crate::cli::{Sandbox, Wish};
use afmpeg::{Cancellation, Error, Job, Parallel, Runtime, Stdin, Stdout};
use serde_json::json;
use std::process::ExitCode;

/// Runs a command in segments if it can be cut. If not, it says why, and the command is to be run as ever.
pub fn run(
    runtime: &Runtime,
    wish: Wish,
    args: &[String],
    sandbox: &Sandbox,
    bar: Option<&Bar>,
    set_up: &(dyn Fn(Job) -> Job + Sync),
) -> Result<Option<ExitCode>, Failure> {
    let command = command(wish, args, sandbox, bar)?;
    let cancellation = Cancellation::new();
    let set_up = |job: Job| {
        let job = set_up(job)
            .stdin(Stdin::Empty)
            .stdout(Stdout::Inherit)
            .stderr(Stdout::Inherit);
        let job = bar.into_iter().fold(job, |job, bar| bar.show_log(job));
        job.cancellation(&cancellation)
    };
    let plan = match runtime.plan_parallel(&command, set_up)? {
        Ok(plan) => plan,
        Err(whole) if wish.is_required => {
            return Err(Failure::from(Error::Whole {
                reason: whole.to_string(),
            }));
        }
        Err(whole) => {
            if sandbox.dry_run {
                print(&json!({ "whole": whole.to_string() }).to_string())?;
                return Ok(Some(ExitCode::SUCCESS));
            }
            eprintln!("afmpeg: --parallel runs this as one job: {whole}");
            return Ok(None);
        }
    };
    if sandbox.dry_run {
        let text = serde_json::to_string_pretty(&plan).map_err(|error| Failure::job(error.to_string()))?;
        print(&text)?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    signals::cancel(&cancellation);
    let done = runtime.run_plan(&command, &plan, set_up);
    bar.iter().for_each(|bar| bar.clear());
    match done {
        Ok(done) => {
            let Some(whole) = done.whole else {
                return Ok(Some(ExitCode::SUCCESS));
            };
            // It was found out on the way.
            eprintln!("afmpeg: --parallel ran this as one job: {whole}");
            Ok(Some(ExitCode::from(
                u8::try_from(done.output.exit_code).unwrap_or(u8::MAX),
            )))
        }
        // As ffmpeg's after a signal.
        Err(Error::Cancelled { .. }) => Ok(Some(ExitCode::from(u8::MAX))),
        Err(Error::Program { message, output }) => {
            // One of the jobs, whose messages nobody has seen yet.
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Err(Failure::job(message).with_code_of(&output))
        }
        Err(error @ Error::Limit { .. }) => {
            let output = error.output().cloned().unwrap_or_default();
            Err(Failure::from(error).with_code_of(&output))
        }
        Err(error) => Err(error.into()),
    }
}

fn command(wish: Wish, args: &[String], sandbox: &Sandbox, bar: Option<&Bar>) -> Result<Parallel, Failure> {
    let mut command = Parallel::new(args);
    if let Some(workers) = wish.workers {
        command = command.workers(workers);
    }
    if wish.is_required {
        command = command.required();
    }
    if sandbox.resume {
        let folder = default_folder("segments").ok_or_else(|| {
            Failure::usage(
                "--resume keeps segments in the cache, and neither XDG_CACHE_HOME nor HOME says where it is".to_owned(),
            )
        })?;
        command = command.resumable(folder);
    }
    if let Some(bar) = bar {
        command = command.progress(bar.report());
    }
    Ok(command)
}
