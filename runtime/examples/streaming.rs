//! Transcodes from standard input to standard output, of any length, in bounded memory, and shows how far it has come.
//!
//! ```text
//! cat in.mkv | cargo run --release --example streaming -- artifacts/o3-gpl.wasm > out.mp4
//! ```

use afmpeg::command::{Command, Input, Output};
use afmpeg::{Runtime, Stdin, Stdout};
use std::io;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = std::env::args()
        .nth(1)
        .ok_or("usage: streaming MODULE < INPUT > OUTPUT")?;
    let runtime = Runtime::from_file(module)?;

    // A pipe cannot be gone back in, so the mp4 is made of fragments.
    let output = Output::stdout("mp4")
        .video_codec("libx264")
        .audio_codec("aac")
        .option("preset", "veryfast")
        .option("movflags", "frag_keyframe+empty_moov");
    let command = Command::new()
        .input(Input::stdin())
        .output(output)
        .option("loglevel", "error");

    // Any reader and writer will do: a socket, a decompressor, the body of a request.
    let job = command
        .job()?
        .stdin(Stdin::Reader(Box::new(io::stdin())))
        .stdout(Stdout::Writer(Box::new(io::stdout())))
        .progress(|progress| eprint!("\r{:.1} s", progress.time.as_secs_f64()));
    let output = runtime.run(job)?.into_success()?;
    eprintln!(
        "\n{} bytes in, {} bytes out, {} MiB of memory",
        output.bytes_read,
        output.bytes_written,
        output.memory_peak_bytes >> 20
    );
    Ok(())
}
