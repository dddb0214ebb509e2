//! Makes the same file twice, byte by byte: the job's clock and random numbers are fixed.
//!
//! ```text
//! cargo run --release --example fixed -- artifacts/o3-gpl.wasm
//! ```

use afmpeg::command::{Command, Input, Output};
use afmpeg::{MemoryFs, Runtime};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = std::env::args().nth(1).ok_or("usage: fixed MODULE")?;
    let runtime = Runtime::from_file(module)?;
    // Matroska files have random numbers in them, and the time they were made.
    let command = Command::new()
        .input(Input::filter("testsrc=duration=1:size=320x240"))
        .output(Output::file("out.mkv").metadata("creation_time", "now"));
    let make = || -> Result<_, Box<dyn std::error::Error>> {
        let files = MemoryFs::new(64 << 20);
        runtime.run_job(&command, |job| {
            let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            job.file_system(".", Arc::new(files.clone()))
                .fixed_clock(start)
                .random_seed(1)
        })?;
        Ok(files.take_file("out.mkv")?)
    };
    let (first, second) = (make()?, make()?);
    println!(
        "{} bytes, {}",
        first.len(),
        if first == second {
            "twice the same"
        } else {
            "and they differ"
        }
    );
    Ok(())
}
