//! `afmpeg watch`: what happens, as it happens.

use super::failure::Failure;
use super::queue::{block_on, connect, keys, print_json};
use crate::cli_cluster::Watch;
use afmpeg::cluster::Key;
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::process::ExitCode;

pub fn run(args: Watch) -> Result<ExitCode, Failure> {
    let wanted: Option<BTreeSet<Key>> = match args.jobs.is_empty() {
        true => None,
        false => Some(keys(&args.jobs, &args.id)?.into_iter().collect()),
    };
    block_on(async {
        let cluster = connect(&args.server).await?;
        let mut events = match &wanted {
            Some(_) => cluster.events_with_known().await?,
            None => cluster.events().await?,
        };
        let mut waiting = wanted.clone().unwrap_or_default();
        while wanted.is_none() || !waiting.is_empty() {
            let Some(event) = events.next().await else {
                return Err(Failure::setup("the connection to the queue was closed".to_owned()));
            };
            let event = event?;
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&event.key)) {
                print_json(&event)?;
            }
            if event.status.is_final() {
                waiting.remove(&event.key);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
