//! What all verbs of the queue need: the server, and jobs by their keys.

use super::failure::Failure;
use super::info::print;
use crate::cli_cluster::Server;
use afmpeg::cluster::{Cluster, Connection, Error, JobMessage, Key};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::setup(error.chain())
    }
}

pub fn connection(server: &Server) -> Connection {
    let address = server.nats.clone().or_else(|| std::env::var("AFMPEG_NATS").ok());
    let mut connection = Connection::new(address.unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned()));
    if let Some(path) = &server.creds {
        connection = connection.credentials(path);
    }
    if let Some(path) = &server.tls_ca {
        connection = connection.authorities(path);
    }
    if let (Some(certificate), Some(key)) = (&server.tls_cert, &server.tls_key) {
        connection = connection.certificate(certificate, key);
    }
    connection
}

pub async fn connect(server: &Server) -> Result<Cluster, Failure> {
    Ok(Cluster::connect(&connection(server)).await?)
}

pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let threads = threads.map_err(|error| Failure::setup(format!("no threads can be started: {error}")))?;
    threads.block_on(work)
}

/// The jobs of a file, or of standard input.
pub fn read_jobs(path: &Path) -> Result<Vec<JobMessage>, Failure> {
    let failed = |error: io::Error| Failure::setup(format!("{}: {error}", path.display()));
    let mut text = String::new();
    match path.to_str() {
        Some("-") => io::stdin().read_to_string(&mut text),
        _ => File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    }
    .map_err(failed)?;
    let mut jobs = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |message: String| Failure::setup(format!("{}, line {}: {message}", path.display(), index + 1));
        let job = JobMessage::from_json(line).map_err(|error| wrong(error.chain()))?;
        if !ids.insert(job.id.clone()) {
            return Err(wrong(format!("there is another job with the id `{}`", job.id)));
        }
        jobs.push(job);
    }
    Ok(jobs)
}

/// The keys of jobs that are named by a key or by their file.
pub fn keys(named: &[String], ids: &[String]) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::new();
    for text in named {
        match text.parse::<Key>() {
            Ok(key) => keys.push(key),
            Err(_) => {
                let jobs = read_jobs(Path::new(text))?;
                let wanted = jobs.iter().filter(|job| ids.is_empty() || ids.contains(&job.id));
                keys.extend(wanted.map(JobMessage::key));
            }
        }
    }
    match keys.is_empty() {
        true => Err(Failure::usage("no job has such an id".to_owned())),
        false => Ok(keys),
    }
}

pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::setup(error.to_string()))?;
    print(&line)
}
