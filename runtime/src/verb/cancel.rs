//! `afmpeg cancel`: ends jobs that wait or run.

use super::failure::Failure;
use super::queue::{block_on, connect, keys, print_json};
use crate::cli_cluster::Which;
use std::process::ExitCode;

pub fn run(args: Which) -> Result<ExitCode, Failure> {
    let keys = keys(&args.jobs, &args.id)?;
    block_on(async {
        let cluster = connect(&args.server).await?;
        for key in &keys {
            let status = cluster.cancel(key).await?;
            print_json(&serde_json::json!({"key": key, "status": status}))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
