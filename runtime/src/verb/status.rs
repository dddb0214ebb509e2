//! `afmpeg status`: what is known of jobs.

use super::failure::Failure;
use super::queue::{block_on, connect, keys, print_json};
use crate::cli_cluster::Which;
use afmpeg::cluster::Status;
use std::process::ExitCode;

pub fn run(args: Which) -> Result<ExitCode, Failure> {
    let keys = keys(&args.jobs, &args.id)?;
    block_on(async {
        let cluster = connect(&args.server).await?;
        let mut failed = false;
        for key in &keys {
            match cluster.status(key).await? {
                Some(event) => {
                    failed |= matches!(event.status, Status::Failed | Status::Cancelled);
                    print_json(&event)?;
                }
                None => {
                    failed = true;
                    print_json(&serde_json::json!({"key": key, "status": null}))?;
                }
            }
        }
        Ok(match failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })
}
