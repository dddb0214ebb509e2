//! A web service that takes any video and gives back a thumbnail or an mp4.
//!
//! ```text
//! cargo run --release --example web -- artifacts/o3-gpl.wasm
//! curl --data-binary @in.mov http://127.0.0.1:8080/thumbnail > thumbnail.jpg
//! curl --data-binary @in.mov http://127.0.0.1:8080/mp4 > out.mp4
//! ```
//!
//! Every request is a job of its own that sees nothing but the bytes it came with. It is held to 512 MiB of memory, 256
//! MiB of output and a minute, ends when its client hangs up, and is refused when too many others wait.

use afmpeg::command::{Command, Input, Output};
use afmpeg::{Cancellation, Error, Frames, Job, MemoryFs, Runtime};
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
use tokio::sync::Semaphore;

const UPLOAD_MAX_BYTES: usize = 256 << 20;
const OUTPUT_MAX_BYTES: u64 = 256 << 20;
const MEMORY_MAX_BYTES: u64 = 512 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests that run or wait for a core; each holds its upload in memory.
const REQUESTS_MAX: usize = 16;

#[derive(Clone)]
struct Service {
    runtime: Runtime,
    room: Arc<Semaphore>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let module = args.next().ok_or("usage: web MODULE [ADDRESS]")?;
    let address: SocketAddr = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned()).parse()?;
    let runtime = Runtime::from_file(module)?;
    runtime.warm_up()?;
    let service = Service {
        runtime,
        room: Arc::new(Semaphore::new(REQUESTS_MAX)),
    };
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

async fn thumbnail(State(service): State<Service>, video: Bytes) -> Response {
    let made = service
        .run(video, |runtime, set_up| {
            let mut frames = runtime.frames(&Frames::of("video").width(320).jpeg(), set_up)?;
            Ok(frames.remove(0).image)
        })
        .await;
    answer("image/jpeg", made)
}

async fn mp4(State(service): State<Service>, video: Bytes) -> Response {
    let made = service
        .run(video, |runtime, set_up| {
            let output = Output::file("/out/video.mp4")
                .video_codec("libx264")
                .video_filter("scale='min(1280,iw)':-2")
                .audio_codec("aac")
                .option("preset", "veryfast")
                .option("movflags", "+faststart");
            let command = Command::new().input(Input::file("video")).output(output);
            let command = command.option("loglevel", "error");
            let folder = MemoryFs::new(OUTPUT_MAX_BYTES);
            runtime.run_job(&command, |job| {
                set_up(job).file_system("/out", Arc::new(folder.clone()))
            })?;
            folder.take_file("video.mp4").map_err(|source| Error::Stdio { source })
        })
        .await;
    answer("video/mp4", made)
}

impl Service {
    /// Does the work on a thread for blocking work, with everything that keeps a job within its bounds.
    async fn run(
        self,
        video: Bytes,
        work: impl FnOnce(&Runtime, &(dyn Fn(Job) -> Job + Sync)) -> Result<Bytes, Error> + Send + 'static,
    ) -> Result<Bytes, (StatusCode, String)> {
        let Ok(room) = self.room.try_acquire_owned() else {
            return Err((
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests, try again later".to_owned(),
            ));
        };
        let files = MemoryFs::new(0);
        files
            .add_file("video", video)
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        // The client may hang up, and then nobody needs the job any more.
        let cancel = CancelOnDrop(Cancellation::new());
        let cancellation = cancel.0.clone();
        let runtime = self.runtime;
        let done = tokio::task::spawn_blocking(move || {
            let _room = room;
            work(&runtime, &|job: Job| {
                job.file_system(".", Arc::new(files.clone()))
                    .memory_max_bytes(MEMORY_MAX_BYTES)
                    .written_max_bytes(OUTPUT_MAX_BYTES)
                    .timeout(TIMEOUT)
                    .cancellation(&cancellation)
            })
        });
        let result = done
            .await
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        result.map_err(|error| match error {
            // What is wrong with the media is for the client to know, and everything else is not.
            Error::Program { message, .. } => (StatusCode::UNPROCESSABLE_ENTITY, message),
            Error::NoFrame { .. } | Error::Limit { .. } | Error::Deadline { .. } | Error::Trap(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            error => {
                eprintln!("{error}");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "it is not the video's fault".to_owned(),
                )
            }
        })
    }
}

fn answer(media_type: &'static str, made: Result<Bytes, (StatusCode, String)>) -> Response {
    match made {
        Ok(bytes) => ([(header::CONTENT_TYPE, media_type)], bytes).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Ends a job when the request that waits for it is dropped.
struct CancelOnDrop(Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
