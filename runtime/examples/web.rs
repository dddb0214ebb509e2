//! A web service that takes any video and gives back a thumbnail or an mp4.
//!
//! ```text
//! cargo run --release --package afmpeg --features tokio --example web -- artifacts/o3-gpl.wasm
//! curl --data-binary @in.mov http://127.0.0.1:8080/thumbnail > thumbnail.jpg
//! curl --data-binary @in.mov http://127.0.0.1:8080/mp4 > out.mp4
//! ```
//!
//! Every request is a job of its own that sees nothing but the bytes it came with. It is held to 512 MiB of memory, 256
//! MiB of output and a minute, ends when its client hangs up, and is refused when too many others wait.

use afmpeg::command::{Command, Input, Output};
use afmpeg::{Cancellation, Capacity, Error, Frames, Job, MemoryFs, Runtime};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const UPLOAD_MAX_BYTES: usize = 256 << 20;
const OUTPUT_MAX_BYTES: u64 = 256 << 20;
const MEMORY_MAX_BYTES: u64 = 512 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests that wait for a core; each holds its upload in memory.
const WAITING_MAX: usize = 16;

#[derive(Clone)]
struct Service {
    runtime: Runtime,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let module = args.next().ok_or("usage: web MODULE [ADDRESS]")?;
    let address: SocketAddr = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned()).parse()?;
    let capacity = Capacity::builder().max_waiting(WAITING_MAX).build()?;
    let runtime = Runtime::builder().capacity(&capacity).from_file(module)?;
    runtime.warm_up()?;
    let service = Service { runtime };
    let router = Router::new()
        .route("/thumbnail", post(thumbnail))
        .route("/mp4", post(mp4))
        .layer(DefaultBodyLimit::max(UPLOAD_MAX_BYTES))
        .with_state(service);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Takes several jobs, so it runs on a thread for blocking work, and ends with the request by a cancellation of its own.
async fn thumbnail(State(service): State<Service>, video: Bytes) -> Response {
    let cancel = CancelOnDrop(Cancellation::new());
    let cancellation = cancel.0.clone();
    let made = tokio::task::spawn_blocking(move || {
        let files = files(video)?;
        let wanted = Frames::of("video").width(320).jpeg();
        let mut frames = service
            .runtime
            .frames(&wanted, |job| within_bounds(job, &files).cancellation(&cancellation))?;
        Ok(frames.remove(0).image)
    });
    let made = made.await.unwrap_or_else(|error| Err(io(std::io::Error::other(error))));
    answer("image/jpeg", made)
}

/// Waits in line and for its job without a thread, and ends with the request.
async fn mp4(State(service): State<Service>, video: Bytes) -> Response {
    let output = Output::file("/out/video.mp4")
        .video_codec("libx264")
        .video_filter("scale='min(1280,iw)':-2")
        .audio_codec("aac")
        .option("preset", "veryfast")
        .option("movflags", "+faststart");
    let command = Command::new().input(Input::file("video")).output(output);
    let command = command.option("loglevel", "error");
    let made = async {
        let (files, folder) = (files(video)?, MemoryFs::new(OUTPUT_MAX_BYTES));
        let set_up = |job| within_bounds(job, &files).file_system("/out", Arc::new(folder.clone()));
        service.runtime.run_job_async(&command, set_up).await?;
        folder.take_file("video.mp4").map_err(io)
    };
    answer("video/mp4", made.await)
}

fn files(video: Bytes) -> Result<MemoryFs, Error> {
    let files = MemoryFs::new(0);
    files.add_file("video", video).map_err(io)?;
    Ok(files)
}

fn within_bounds(job: Job, files: &MemoryFs) -> Job {
    job.file_system(".", Arc::new(files.clone()))
        .memory_max_bytes(MEMORY_MAX_BYTES)
        .written_max_bytes(OUTPUT_MAX_BYTES)
        .timeout(TIMEOUT)
}

fn io(source: std::io::Error) -> Error {
    Error::Stdio { source }
}

fn answer(media_type: &'static str, made: Result<Bytes, Error>) -> Response {
    let (status, message) = match made {
        Ok(bytes) => return ([(header::CONTENT_TYPE, media_type)], bytes).into_response(),
        Err(error @ (Error::Busy { .. } | Error::Stuck { .. })) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        // Faults of the media are reported to the client, other errors are not.
        Err(Error::Program { message, .. }) => (StatusCode::UNPROCESSABLE_ENTITY, message),
        Err(error @ (Error::NoFrame { .. } | Error::Limit { .. } | Error::Deadline { .. } | Error::Trap(_))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        Err(error) => {
            eprintln!("{error}");
            let message = "it is not the video's fault".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    };
    (status, message).into_response()
}

/// Ends a job when the request that waits for it is dropped.
struct CancelOnDrop(Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
