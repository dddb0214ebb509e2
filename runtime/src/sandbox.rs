//! All that a job's program can reach.

use crate::budget::Budget;
use crate::error::Error;
use crate::fs::{Devices, FileSystem, Tree};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::limit::Limit;
use crate::output::Output;
use crate::random::Random;
use crate::stdio::{Stream, Tails};
use crate::wasi::{Clock, Failure, Host, Setup};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

/// Sets up everything that the job's program can reach, and the capture of its two output streams.
pub(crate) fn host(job: Job, interrupt: Interrupt, open_files: &Arc<Budget>) -> Result<(Host, Tails), Error> {
    let args = job.args.into_iter().map(c_string).collect::<Result<_, _>>()?;
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        c_string(name)
    };
    let env = job.env.into_iter().map(variable).collect::<Result<_, _>>()?;

    let random = Arc::new(job.random_seed.map_or(Random::System, Random::seeded));

    let in_tree = job.tree.iter().flat_map(Tree::file_systems);
    let file_systems = job.directories.iter().map(|(_, file_system)| file_system);
    let host_memory = Arc::new(Budget::host_memory(
        job.host_memory_max_bytes,
        file_systems.chain(in_tree),
    ));

    let failed = |source| Error::Stdio { source };
    let stdin = Stream::input(job.stdin).map_err(failed)?;
    let (stdout, tail_of_stdout) = Stream::output(job.stdout, &io::stdout(), &host_memory).map_err(failed)?;
    let (stderr, tail_of_stderr) = Stream::output(job.stderr, &io::stderr(), &host_memory).map_err(failed)?;

    let mut host = Host::new(Setup {
        args,
        env,
        interrupt,
        clock: job.clock_start.map_or_else(Clock::real, Clock::fixed),
        random: random.clone(),
        open_files_max: job.open_files_max,
        written_max_bytes: job.written_max_bytes,
        streams_count: job.streams_count,
        names_max: job.names_max,
        host_memory,
        open_files: open_files.clone(),
    });
    let mut of_host = BTreeMap::new();
    for (number, stream) in (0..).zip([stdin, stdout, stderr]) {
        if let Some(host) = stream.host() {
            of_host.insert(number, host.file.try_clone().map_err(failed)?);
        }
        host.add_stream(stream).map_err(too_many)?;
    }
    for (number, file) in job.descriptors {
        of_host.insert(number, file.try_clone().map_err(failed)?);
        let stream = Stream::given(file).map_err(failed)?;
        host.add_descriptor(number, stream).map_err(too_many)?;
    }
    let devices = Devices {
        random,
        descriptors: of_host,
        signals: job.signals,
    };
    add_directories(&mut host, job.tree, job.directories, devices).map_err(too_many)?;
    let tails = Tails {
        stdout: tail_of_stdout,
        stderr: tail_of_stderr,
    };
    Ok((host, tails))
}

/// Gives the directories to the program: each by its name, or all as places in a tree of names.
fn add_directories(
    host: &mut Host,
    tree: Option<Tree>,
    directories: Vec<(String, Arc<dyn FileSystem>)>,
    devices: Devices,
) -> Result<(), Failure> {
    let devices = ("/dev".to_owned(), Arc::new(devices) as Arc<dyn FileSystem>);
    let mut directories = directories.into_iter().chain([devices]);
    match tree {
        Some(tree) => host.add_tree(tree.with_places(directories)),
        None => directories.try_for_each(|(name, file_system)| host.add_directory(name, file_system)),
    }
}

fn too_many(failure: Failure) -> Error {
    match failure.exceeded {
        Some(exceeded) if exceeded.limit != Limit::OpenFiles => Error::limit(exceeded, Output::default()),
        _ => Error::TooManyDirectories,
    }
}

fn c_string(string: OsString) -> Result<Vec<u8>, Error> {
    let bytes = string.into_encoded_bytes();
    if bytes.contains(&0) {
        Err(Error::ZeroByte)
    } else {
        Ok(bytes)
    }
}
