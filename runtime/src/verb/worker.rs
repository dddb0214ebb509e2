//! `afmpeg worker`: takes jobs from the queue.

use super::failure::Failure;
use super::module;
use super::queue::{block_on, connection};
use crate::cli::Sandbox;
use crate::cli_cluster::Worker as Args;
use afmpeg::Runtime;
use afmpeg::cluster::{Modules, Policy, Worker};
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: Args, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let policy = policy(&args, sandbox)?;
    let modules = modules(&args, &policy, sandbox)?;
    let name = args.name.clone().unwrap_or_else(|| {
        let machine = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let machine = match machine.trim() {
            "" => "worker",
            machine => machine,
        };
        format!("{machine}-{}", std::process::id())
    });
    let mut worker = Worker::new(modules, policy)
        .name(name)
        .lease(args.lease)
        .grace(args.grace)
        .log(|line| eprintln!("afmpeg: {line}"));
    if let Some(count) = args.jobs {
        worker = worker.jobs(count);
    }
    if let Some(address) = args.health {
        worker = worker.health(address);
    }
    block_on(async {
        worker.run(&connection(&args.server), told_to_end()?).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Ends when the process is told to.
fn told_to_end() -> Result<impl Future<Output = ()>, Failure> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::setup(format!("signals cannot be heard: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            eprintln!("afmpeg: waiting for running jobs");
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        eprintln!("afmpeg: waiting for running jobs");
    })
}

fn policy(args: &Args, sandbox: &Sandbox) -> Result<Policy, Failure> {
    let mut policy = match &args.policy {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| Failure::setup(format!("{}: {error}", path.display())))?;
            let policy = Policy::from_toml(&text);
            policy.map_err(|error| Failure::setup(format!("{}: {}", path.display(), error.chain())))?
        }
        None => Policy::default(),
    };
    policy.allow.extend(args.allow.iter().cloned());
    policy.allow_read.extend(args.allow_read.iter().cloned());
    policy.allow_write.extend(args.allow_write.iter().cloned());
    if policy.allow.is_empty() && policy.allow_read.is_empty() && policy.allow_write.is_empty() {
        return Err(Failure::usage(
            "jobs may read and write nothing: name prefixes with --allow, such as s3://media/".to_owned(),
        ));
    }
    policy.memory_max_bytes = policy.memory_max_bytes.min(sandbox.memory_max);
    policy.host_memory_max_bytes = policy.host_memory_max_bytes.min(sandbox.host_memory_max);
    if let Some(bytes) = sandbox.written_max {
        policy.written_max_bytes = bytes;
    }
    if let Some(timeout) = sandbox.timeout {
        policy.timeout = timeout.as_secs_f64();
    }
    policy.spool = args.spool.clone().or(policy.spool);
    Ok(policy)
}

/// The modules of the policy, or the one of the command line.
fn modules(args: &Args, policy: &Policy, sandbox: &Sandbox) -> Result<Modules, Failure> {
    let make = |path: &Path| {
        let one = Sandbox {
            module: Some(path.to_owned()),
            ..sandbox.clone()
        };
        let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok());
        module::make(&one, Runtime::builder().max_concurrency(jobs.map_or(1, usize::from)))
    };
    let mut paths = Vec::new();
    for wanted in &policy.modules {
        paths.push((wanted.name.clone(), module::of_policy(wanted)?));
    }
    if paths.is_empty() {
        let path = module::find(sandbox)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        paths.push((name, path));
    }
    let mut modules = Modules::new();
    for (name, path) in paths {
        let runtime = make(&path)?;
        let added = modules.add(name, &path, runtime);
        modules = added.map_err(|error| Failure::no_module(format!("{}: {error}", path.display())))?;
    }
    Ok(modules)
}
