//! Makes an mp4 of every file in a folder, as many at a time as there are cores.
//!
//! ```text
//! cargo run --release --example batch -- artifacts/o3-gpl.wasm in-folder out-folder
//! ```

use afmpeg::command::{Command, Input, Output};
use afmpeg::{Access, Error, HostDir, Runtime};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("usage: batch MODULE INPUT-FOLDER OUTPUT-FOLDER");
    let (module, input, output) = (next()?, next()?, next()?);
    let runtime = Runtime::from_file(module)?;
    std::fs::create_dir_all(&output)?;
    // Jobs can read the one folder and write the other, and reach nothing else.
    let from = Arc::new(HostDir::open(Path::new(&input), Access::ReadOnly)?);
    let to = Arc::new(HostDir::open(Path::new(&output), Access::ReadWrite)?);

    thread::scope(|scope| -> Result<(), std::io::Error> {
        for entry in std::fs::read_dir(&input)? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            let (runtime, from, to) = (&runtime, from.clone(), to.clone());
            // A thread a file: the runtime runs a limited number of jobs, and the others wait.
            scope.spawn(move || {
                let command = Command::new().input(Input::file(format!("/in/{name}"))).output(
                    Output::file(format!("/out/{name}.mp4"))
                        .video_codec("libx264")
                        .audio_codec("aac"),
                );
                let result = runtime.run_job(&command, |job| {
                    job.file_system("/in", from)
                        .file_system("/out", to)
                        .timeout(Duration::from_secs(600))
                });
                match result {
                    Ok(output) => println!("{name}: {:.1} s", output.timings.run.as_secs_f64()),
                    Err(Error::Program { message, .. }) => println!("{name}: {message}"),
                    Err(error) => println!("{name}: {error}"),
                }
            });
        }
        Ok(())
    })?;
    Ok(())
}
