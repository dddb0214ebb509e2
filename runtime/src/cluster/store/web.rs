//! Files on web servers, such as presigned addresses of a store: read by ranges, written by one PUT.

use crate::cluster::fault::Fault;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use reqwest::{Body, Client, ClientBuilder, Response, StatusCode, header};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use url::Url;

/// A file, as its server described it at first.
pub struct WebFile {
    url: Url,
    pub size_bytes: u64,
    version: Option<header::HeaderValue>,
}

/// How often a server that does not answer is asked, with a second more between each time.
const TRIES: u32 = 4;

/// The longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A server that takes nothing for so long has stalled.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How long a server may take to answer when it has all of a file. What was sent last may be on its way still.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// What is sent of a file at a time.
const PIECE_BYTES: usize = 64 << 10;

static READING: OnceLock<Result<Client, String>> = OnceLock::new();
static WRITING: OnceLock<Result<Client, String>> = OnceLock::new();

/// Redirects are not followed: the policy has allowed this address, and no other.
fn client(
    made: &'static OnceLock<Result<Client, String>>,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<&'static Client, Fault> {
    let client = made.get_or_init(|| {
        crate::cluster::connect::use_ring();
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5));
        more(builder).build().map_err(|error| error.to_string())
    });
    client
        .as_ref()
        .map_err(|error| Fault::lasting(format!("no client of the web can be made: {error}")))
}

fn reading() -> Result<&'static Client, Fault> {
    client(&READING, |builder| builder.read_timeout(Duration::from_secs(30)))
}

/// The client's own time for an answer counts from where a request begins, and not from where all of a file was sent.
fn writing() -> Result<&'static Client, Fault> {
    client(&WRITING, |builder| builder)
}

/// Whether a server may answer otherwise if it is asked again.
fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Why a server is asked again, and after which pause.
struct Again {
    reason: String,
    pause: Option<Duration>,
}

impl Again {
    fn after(response: &Response) -> Again {
        let pause = response.headers().get(header::RETRY_AFTER);
        let pause = pause.and_then(|pause| pause.to_str().ok()?.trim().parse().ok());
        Again {
            reason: format!("its server answers {}", response.status()),
            pause: pause.map(|seconds| Duration::from_secs(seconds).min(PAUSE_MAX)),
        }
    }

    fn failed(reason: String) -> Again {
        Again { reason, pause: None }
    }

    /// Waits, if this is not the first time.
    async fn wait(last: Option<&Again>, tried: u32) {
        if let Some(last) = last {
            let pause = last.pause.unwrap_or(Duration::from_secs(tried.into()));
            tokio::time::sleep(pause).await;
        }
    }

    fn give_up(last: Option<Again>, shown: &str) -> Fault {
        let reason = last.map_or_else(String::new, |last| last.reason);
        Fault::passing(format!("{shown}: {reason}"))
    }
}

impl WebFile {
    pub async fn open(url: Url, shown: &str) -> Result<WebFile, Fault> {
        // One that is presigned for reading refuses to be asked for its head alone.
        let response = ask(&url, shown, "bytes=0-0", None).await?;
        let range = response.headers().get(header::CONTENT_RANGE);
        let size = range.and_then(|range| range.to_str().ok()?.rsplit_once('/')?.1.parse().ok());
        let size_bytes = match (response.status(), size) {
            (StatusCode::PARTIAL_CONTENT, Some(size)) => size,
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => 0,
            _ => return Err(Fault::lasting(format!("{shown}: its server sends no parts of files"))),
        };
        let version = response.headers().get(header::ETAG).cloned();
        Ok(WebFile {
            url,
            size_bytes,
            version,
        })
    }

    pub async fn get(&self, shown: &str, start: u64, end: u64) -> Result<Bytes, Fault> {
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        let mut last = None;
        for _ in 0..TRIES {
            let response = ask(&self.url, shown, &range, self.version.as_ref()).await?;
            if response.status() != StatusCode::PARTIAL_CONTENT
                || response.headers().get(header::ETAG) != self.version.as_ref()
            {
                return Err(Fault::lasting(format!("{shown}: it was changed while it was read")));
            }
            match body(response, end - start).await {
                Ok(bytes) if bytes.len() as u64 == end - start => return Ok(bytes),
                Ok(bytes) => last = Some(format!("{} bytes came of {}", bytes.len(), end - start)),
                Err(error) => last = Some(error.without_url().to_string()),
            }
        }
        Err(Fault::passing(format!("{shown}: {}", last.unwrap_or_default())))
    }
}

/// What a server sends, and no more of it than a little too much.
async fn body(mut response: Response, size_bytes: u64) -> Result<Bytes, reqwest::Error> {
    let mut bytes = BytesMut::new();
    while let Some(more) = response.chunk().await? {
        bytes.extend_from_slice(&more);
        if bytes.len() as u64 > size_bytes {
            break;
        }
    }
    Ok(bytes.freeze())
}

async fn ask(url: &Url, shown: &str, range: &str, version: Option<&header::HeaderValue>) -> Result<Response, Fault> {
    let mut last = None;
    for tried in 0..TRIES {
        Again::wait(last.as_ref(), tried).await;
        let mut request = reading()?.get(url.clone()).header(header::RANGE, range);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, version);
        }
        last = Some(match request.send().await {
            Ok(response) if passes(response.status()) => Again::after(&response),
            Ok(response) => return check(response, shown),
            Err(error) => Again::failed(error.without_url().to_string()),
        });
    }
    Err(Again::give_up(last, shown))
}

fn check(response: Response, shown: &str) -> Result<Response, Fault> {
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
        StatusCode::PRECONDITION_FAILED => Err(Fault::lasting(format!("{shown}: it was changed while it was read"))),
        status => Err(Fault::lasting(format!("{shown}: its server answers {status}"))),
    }
}

/// Sends a file as a whole.
pub async fn put(url: &Url, shown: &str, file: std::fs::File) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::of_file(shown, &error);
    let size = file.metadata().map_err(failed)?.len();
    let mut last = None;
    for tried in 0..TRIES {
        Again::wait(last.as_ref(), tried).await;
        let mut again = file.try_clone().map_err(failed)?;
        std::io::Seek::rewind(&mut again).map_err(failed)?;
        let (body, taken) = pieces(again);
        let request = writing()?.put(url.clone()).header(header::CONTENT_LENGTH, size);
        let sent = tokio::select! {
            sent = request.body(body).send() => sent.map_err(|error| error.without_url().to_string()),
            () = stalled(taken, size) => Err("its server takes no more, or does not answer".to_owned()),
        };
        last = Some(match sent {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) if passes(response.status()) => Again::after(&response),
            Ok(response) => {
                let status = response.status();
                return Err(Fault::lasting(format!("{shown}: its server answers {status}")));
            }
            Err(reason) => Again::failed(reason),
        });
    }
    Err(Again::give_up(last, shown))
}

/// A file as a body, and how many of its bytes were taken so far.
fn pieces(file: std::fs::File) -> (Body, watch::Receiver<u64>) {
    let (sender, taken) = watch::channel(0);
    let file = tokio::fs::File::from_std(file);
    let pieces = stream::try_unfold((file, sender), |(mut file, sender)| async move {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let count = file.read_buf(&mut piece).await?;
        sender.send_modify(|taken| *taken += count as u64);
        Ok::<_, std::io::Error>((count > 0).then(|| (piece.freeze(), (file, sender))))
    });
    (Body::wrap_stream(pieces), taken)
}

/// Ends when a server has taken nothing for too long.
async fn stalled(mut taken: watch::Receiver<u64>, size_bytes: u64) {
    loop {
        let time = match *taken.borrow_and_update() < size_bytes {
            true => STALL_MAX,
            false => ANSWER_MAX,
        };
        match tokio::time::timeout(time, taken.changed()).await {
            Ok(Ok(())) => {}
            // All of it was taken, and the body is gone.
            Ok(Err(_)) => return tokio::time::sleep(ANSWER_MAX).await,
            Err(_) => return,
        }
    }
}
