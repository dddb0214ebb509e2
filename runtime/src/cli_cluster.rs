//! The part of the command line for many machines.

use crate::cli_values::seconds;
use afmpeg::cluster::Prefix;
use clap::Args;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

/// How the server of the queue is reached.
#[derive(Debug, Args)]
pub struct Server {
    /// The NATS server, with JetStream; several with commas between them [default: AFMPEG_NATS, or nats://127.0.0.1:4222]
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,

    /// A file of NATS credentials
    #[arg(long, value_name = "PATH")]
    pub creds: Option<PathBuf>,

    /// CA certificates (PEM) to verify the server with, instead of the system's
    #[arg(long, value_name = "PATH")]
    pub tls_ca: Option<PathBuf>,

    /// This side's certificate, in PEM
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The key of that certificate, in PEM
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  afmpeg worker --nats nats://queue.example --allow s3://media/
  afmpeg worker --allow-read https://uploads.example/ --allow-write file:///srv/out/ --health 127.0.0.1:8080
  afmpeg --memory-max 1G --timeout 3600 worker --policy policy.toml --creds worker.creds

The options for a program's memory, time and written bytes are the most that a job may ask for. Credentials of stores \
come from the environment: AWS_ACCESS_KEY_ID and the like, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME. \
SIGTERM and SIGINT let running jobs end, and put back what takes longer than --grace.

Exit codes: 0 it was told to end, 2 the command line is wrong, 3 and 4 there is no module or it is none, 5 the queue cannot be \
reached or refuses the credentials, or the policy is wrong.")]
pub struct Worker {
    #[command(flatten)]
    pub server: Server,

    /// Allow jobs to read and write addresses with this prefix: s3://, gs://, az://, https:// or file:/// with a folder; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub allow: Vec<Prefix>,

    /// Allow jobs to read addresses with this prefix
    #[arg(long, value_name = "PREFIX")]
    pub allow_read: Vec<Prefix>,

    /// Allow jobs to write addresses with this prefix
    #[arg(long, value_name = "PREFIX")]
    pub allow_write: Vec<Prefix>,

    /// A file with the same and more, in TOML
    #[arg(long, value_name = "PATH")]
    pub policy: Option<PathBuf>,

    /// Number of jobs that run at a time [default: the number of cores, if there is memory for them]
    #[arg(long, value_name = "COUNT")]
    pub jobs: Option<NonZero<usize>>,

    /// Answer /healthz and /metrics at this address, such as 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS")]
    pub health: Option<SocketAddr>,

    /// How long running jobs may go on after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "600")]
    pub grace: Duration,

    /// How long a job stays with a worker that shows no sign of life, in seconds; the first worker of a queue decides
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub lease: Duration,

    /// This worker's name in results [default: that of the machine, and the number of the process]
    #[arg(long)]
    pub name: Option<String>,

    /// Folder for outputs that cannot be sent as they are written [default: that of temporary files]
    #[arg(long, value_name = "PATH")]
    pub spool: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A job is a line of `afmpeg batch`, with the addresses of its files:
  {\"id\": \"7\", \"args\": [\"-i\", \"in.mov\", \"-vf\", \"scale=640:-2\", \"out.mp4\"],
   \"inputs\": {\"in.mov\": \"s3://media/in/7.mov\"}, \"outputs\": {\"out.mp4\": \"s3://media/out/7.mp4\"}}
docs/cluster.md has all keys. What is printed is a line for each job: its key and state, or with --wait its result. \
A job that waits, runs or is done is not done again; one that failed is.

Exit codes: 0 if all jobs are in the queue, or with --wait done; 1 if some failed; 5 if the queue cannot be reached or refuses the \
credentials, or a job is not understood.")]
pub struct Submit {
    #[command(flatten)]
    pub server: Server,

    /// The jobs, or - for standard input
    pub jobs: PathBuf,

    /// Wait for the results
    #[arg(long)]
    pub wait: bool,
}

/// Jobs that are named on the command line.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0; of `status` 1 if a job has failed, was cancelled or is not known; 2 if the command line is wrong; 5 if the \
                  queue cannot be reached or refuses the credentials."
)]
pub struct Which {
    #[command(flatten)]
    pub server: Server,

    /// Keys of jobs, or files of jobs
    #[arg(required = true, value_name = "KEY|JOBS")]
    pub jobs: Vec<String>,

    /// Of files of jobs only those with this id; may be repeated
    #[arg(long)]
    pub id: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 5 if the queue cannot be reached or refuses the credentials.")]
pub struct Watch {
    #[command(flatten)]
    pub server: Server,

    /// Keys of jobs, or files of jobs; all jobs if there are none
    #[arg(value_name = "KEY|JOBS")]
    pub jobs: Vec<String>,

    /// Of files of jobs only those with this id; may be repeated
    #[arg(long)]
    pub id: Vec<String>,
}
