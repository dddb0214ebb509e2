//! `afmpeg submit`: gives jobs to workers, and waits for their results.

use super::failure::Failure;
use super::queue::{block_on, connect, print_json, read_jobs};
use crate::cli_cluster::Submit;
use afmpeg::cluster::{Cluster, Error, Event, JobMessage, Key, Outcome, Status};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

/// How many jobs are on their way to the queue at a time.
const AT_A_TIME: usize = 64;
/// When nothing was heard for so long, states are asked for.
const QUIET: Duration = Duration::from_secs(10);

pub fn run(args: Submit) -> Result<ExitCode, Failure> {
    let jobs = read_jobs(&args.jobs)?;
    block_on(async {
        let cluster = connect(&args.server).await?;
        match args.wait {
            false => submit(&cluster, &jobs).await,
            true => submit_and_wait(&cluster, &jobs).await,
        }
    })
}

async fn submit(cluster: &Cluster, jobs: &[JobMessage]) -> Result<ExitCode, Failure> {
    let mut submitted = stream::iter(jobs)
        .map(|job| async move { (job, cluster.submit(job).await) })
        .buffered(AT_A_TIME);
    while let Some((job, submitted)) = submitted.next().await {
        let submitted = submitted?;
        print_json(&serde_json::json!({
            "id": job.id,
            "key": submitted.key,
            "status": submitted.status,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn submit_and_wait(cluster: &Cluster, jobs: &[JobMessage]) -> Result<ExitCode, Failure> {
    let mut counts = Counts::default();
    // Before the first job is there, so that no end is missed.
    let mut events = cluster.events().await?;
    let mut waiting: BTreeMap<Key, &str> = jobs.iter().map(|job| (job.key(), job.id.as_str())).collect();
    let mut submitted = stream::iter(jobs)
        .map(|job| async move { (job, cluster.submit(job).await) })
        .buffer_unordered(AT_A_TIME);
    let mut known = Vec::new();
    let mut is_submitting = true;
    while is_submitting || !waiting.is_empty() {
        tokio::select! {
            next = submitted.next(), if is_submitting => match next {
                None => is_submitting = false,
                Some((_, result)) => {
                    let result = result?;
                    if let Some(outcome) = result.outcome
                        && waiting.remove(&result.key).is_some()
                    {
                        counts.before += 1;
                        print_json(&outcome)?;
                    }
                    known.push(result.key);
                }
            },
            event = heard(&mut events) => match event? {
                Some(event) => counts.take(&mut waiting, event.key, event.status, event.outcome)?,
                // The watch may have been interrupted with the server.
                None if !is_submitting => {
                    for key in known.iter().filter(|key| waiting.contains_key(*key)).cloned().collect::<Vec<_>>() {
                        if let Ok(Some(event)) = cluster.status(&key).await {
                            counts.take(&mut waiting, event.key, event.status, event.outcome)?;
                        }
                    }
                }
                None => {}
            },
        }
    }
    eprintln!(
        "afmpeg: {} jobs, {} done before, {} done now, {} failed",
        jobs.len(),
        counts.before,
        counts.done,
        counts.failed
    );
    Ok(match counts.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The next event, or nothing if none comes for a while.
async fn heard(events: &mut BoxStream<'static, Result<Event, Error>>) -> Result<Option<Event>, Failure> {
    match tokio::time::timeout(QUIET, events.next()).await {
        Err(_) => Ok(None),
        Ok(Some(Ok(event))) => Ok(Some(event)),
        // The server may be away for a while; states are asked for then.
        Ok(Some(Err(error))) => {
            eprintln!("afmpeg: {}", error.chain());
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(None)
        }
        Ok(None) => Err(Failure::setup("the connection to the queue was closed".to_owned())),
    }
}

#[derive(Default)]
struct Counts {
    before: usize,
    done: usize,
    failed: usize,
}

impl Counts {
    /// Prints the result of a job that is waited for.
    fn take(
        &mut self,
        waiting: &mut BTreeMap<Key, &str>,
        key: Key,
        status: Status,
        outcome: Option<Outcome>,
    ) -> Result<(), Failure> {
        let Some(outcome) = outcome.filter(|_| status.is_final()) else {
            return Ok(());
        };
        if waiting.remove(&key).is_none() {
            return Ok(());
        }
        match status {
            Status::Done => self.done += 1,
            _ => self.failed += 1,
        }
        print_json(&outcome)
    }
}
