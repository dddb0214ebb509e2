//! Requests to web servers.

use super::allowed::Allowed;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use ureq::http::{Response, header};
use ureq::{Agent, Body};
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 10;
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A part of a file as a server sent it.
pub struct Part {
    pub bytes: Vec<u8>,
    pub size_bytes: u64,
    /// What tells this version of the file from others.
    pub version: Option<String>,
    /// What comes after these bytes, from a server that sends no parts.
    pub rest: Option<Box<dyn Read + Send>>,
}

#[derive(Clone)]
pub struct Fetcher {
    agent: Agent,
    allowed: Allowed,
    told: Arc<Mutex<BTreeSet<String>>>,
}

/// A hostile playlist can name addresses without end.
const TOLD_MAX: usize = 16;

/// A failure, and whether it may pass.
struct Failed {
    error: io::Error,
    may_pass: bool,
}

impl Fetcher {
    pub fn new(allowed: Allowed) -> Fetcher {
        let agent = afmpeg_release::agent(CONNECT_TIMEOUT, RESPONSE_TIMEOUT);
        Fetcher {
            agent,
            allowed,
            told: Arc::default(),
        }
    }

    /// Says once why a file of the web could not be read: the program learns no more than that it could not.
    pub fn tell(&self, url: &Url, reason: &dyn std::fmt::Display) {
        let line = format!("afmpeg: {url}: {reason}").replace(char::is_control, "?");
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert(line.clone()) {
            eprintln!("{line}");
        }
    }

    /// Asks for a part of a file, again if the server or the network fails for the moment.
    pub fn part(&self, url: &Url, start: u64, length: u64, version: Option<&str>) -> io::Result<Part> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.attempt(url, start, length, version) {
                Err(failed) if failed.may_pass && attempt < ATTEMPTS => {
                    thread::sleep(pause);
                    pause *= 2;
                }
                result => {
                    return result.map_err(|failed| {
                        self.tell(url, &failed.error);
                        failed.error
                    });
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn attempt(&self, url: &Url, start: u64, length: u64, version: Option<&str>) -> Result<Part, Failed> {
        let end = start.saturating_add(length).saturating_sub(1);
        let response = self.ask(url, &format!("bytes={start}-{end}"), version)?;
        let status = response.status().as_u16();
        let text = |name: header::HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let sent_version = text(header::ETAG).or_else(|| text(header::LAST_MODIFIED));
        let (size_bytes, expected) = match status {
            206 => {
                let range = text(header::CONTENT_RANGE).as_deref().and_then(content_range);
                let Some((first, last, size_bytes)) = range else {
                    return Err(lie("it does not say which part it sent"));
                };
                if first != start || last > end || last < first || last >= size_bytes {
                    return Err(lie("it sent another part than it was asked for"));
                }
                (size_bytes, last - first + 1)
            }
            // The whole file, as it comes.
            200 if start == 0 => {
                let Some(size_bytes) = text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()) else {
                    return Err(lie("it does not say how long the file is"));
                };
                return Ok(Part {
                    bytes: Vec::new(),
                    size_bytes,
                    version: sent_version,
                    rest: Some(Box::new(response.into_body().into_reader())),
                });
            }
            200 => return Err(lie("it sends no parts of files, or the file has changed")),
            416 => (start, 0),
            404 | 410 => return Err(failed(io::ErrorKind::NotFound, "not found", false)),
            401 | 403 | 407 => return Err(failed(io::ErrorKind::PermissionDenied, "forbidden", false)),
            408 | 429 | 500..=599 => return Err(failed(io::ErrorKind::Other, "the server fails", true)),
            _ => return Err(failed(io::ErrorKind::Other, "an unexpected answer", false)),
        };
        let mut bytes = Vec::new();
        let mut body = response.into_body().into_reader().take(expected + 1);
        body.read_to_end(&mut bytes)
            .map_err(|error| Failed { error, may_pass: true })?;
        if bytes.len() as u64 != expected && status != 416 {
            return Err(failed(
                io::ErrorKind::UnexpectedEof,
                "the server sent another length than it said",
                true,
            ));
        }
        Ok(Part {
            bytes: if status == 416 { Vec::new() } else { bytes },
            size_bytes,
            version: sent_version,
            rest: None,
        })
    }

    /// Asks, and follows redirects as long as they lead to allowed addresses.
    fn ask(&self, url: &Url, range: &str, version: Option<&str>) -> Result<Response<Body>, Failed> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.agent.get(url.as_str()).header(header::RANGE, range);
            if let Some(version) = version.filter(|version| !version.starts_with("W/")) {
                request = request.header(header::IF_RANGE, version);
            }
            let response = request.call().map_err(|error| Failed {
                may_pass: match &error {
                    // A certificate that is not trusted will not be the next time.
                    ureq::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
                    ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => true,
                    _ => false,
                },
                error: io::Error::other(error),
            })?;
            let target = response.headers().get(header::LOCATION);
            let target = target.filter(|_| response.status().is_redirection());
            let Some(target) = target.and_then(|target| target.to_str().ok()) else {
                return Ok(response);
            };
            let next = url.join(target).ok().filter(|next| self.allowed.permits(next));
            let Some(next) = next else {
                let message = format!("it leads to {target}, which is not allowed; see --allow-url");
                return Err(failed(io::ErrorKind::PermissionDenied, &message, false));
            };
            url = next;
        }
        Err(failed(io::ErrorKind::Other, "too many redirects", false))
    }
}

fn failed(kind: io::ErrorKind, message: &str, may_pass: bool) -> Failed {
    Failed {
        error: io::Error::new(kind, message),
        may_pass,
    }
}

fn lie(message: &str) -> Failed {
    failed(io::ErrorKind::InvalidData, message, false)
}

/// The first and last byte and the size in `bytes 0-99/1000`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, size_bytes) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size_bytes.parse().ok()?))
}
