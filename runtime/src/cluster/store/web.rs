//! Files on web servers, such as presigned addresses of a store: read by ranges, written by one PUT.

use crate::cluster::fault::Fault;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, StatusCode, header};
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// A file, as its server described it at first.
pub struct WebFile {
    url: Url,
    pub size_bytes: u64,
    version: Option<header::HeaderValue>,
}

/// How often a server that does not answer is asked, with a second more between each time.
const TRIES: u32 = 4;

/// Redirects are not followed: the policy has allowed this address, and no other.
fn client() -> Result<&'static Client, Fault> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        crate::cluster::connect::use_ring();
        let built = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(30))
            .build();
        built.map_err(|error| error.to_string())
    });
    client
        .as_ref()
        .map_err(|error| Fault::lasting(format!("no client of the web can be made: {error}")))
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
    let mut reason = String::new();
    for tried in 0..TRIES {
        if tried > 0 {
            tokio::time::sleep(Duration::from_secs(tried.into())).await;
        }
        let mut request = client()?.get(url.clone()).header(header::RANGE, range);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, version);
        }
        match request.send().await {
            Ok(response) if response.status().is_server_error() => {
                reason = format!("its server answers {}", response.status());
            }
            Ok(response) => return check(response, shown),
            Err(error) => reason = error.without_url().to_string(),
        }
    }
    Err(Fault::passing(format!("{shown}: {reason}")))
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
    let mut reason = String::new();
    for tried in 0..TRIES {
        if tried > 0 {
            tokio::time::sleep(Duration::from_secs(tried.into())).await;
        }
        let mut again = file.try_clone().map_err(failed)?;
        std::io::Seek::rewind(&mut again).map_err(failed)?;
        let body = reqwest::Body::from(tokio::fs::File::from_std(again));
        let request = client()?.put(url.clone()).header(header::CONTENT_LENGTH, size);
        match request.body(body).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) if response.status().is_server_error() => {
                reason = format!("its server answers {}", response.status());
            }
            Ok(response) => {
                return Err(Fault::lasting(format!(
                    "{shown}: its server answers {}",
                    response.status()
                )));
            }
            Err(error) => reason = error.without_url().to_string(),
        }
    }
    Err(Fault::passing(format!("{shown}: {reason}")))
}
