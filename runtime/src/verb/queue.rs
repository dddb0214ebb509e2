//! What all verbs of the queue need: the server, and jobs by their keys.

use super::failure::Failure;
use super::info::print;
use super::job_list;
use crate::cli_cluster::Server;
use afmpeg::cluster::{Cluster, Connection, Error, JobMessage, Key};
use serde::Serialize;
use std::future::Future;
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
    let parse = |line: &str| JobMessage::from_json(line).map_err(|error| error.chain());
    job_list::read(path, parse, |job| &job.id)
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
