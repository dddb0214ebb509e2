//! Downloads over HTTP and HTTPS.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A dead origin costs this much once, not minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// A slow line may take long for a large file, but not forever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// No input is larger; what is would fill the disk of a user who meets a wrong server.
const BODY_LIMIT_BYTES: u64 = 2 << 30;

/// The server did not answer at all, so asking it again in this run makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{host} cannot be reached")]
struct Unreachable {
    host: String,
    #[source]
    cause: ureq::Error,
}

pub fn is_unreachable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Unreachable>())
}

/// The host, with its port, of a URL.
pub fn host(address: &str) -> Result<String> {
    let uri: ureq::http::Uri = address.parse().with_context(|| format!("{address} is not a URL"))?;
    Ok(uri
        .authority()
        .with_context(|| format!("{address} names no host"))?
        .to_string())
}

pub fn download(address: &str, scratch: &Path) -> Result<PathBuf> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .user_agent(concat!("afmpeg-xtask/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = match agent.get(address).call() {
        Ok(response) => response,
        Err(ureq::Error::StatusCode(status)) => bail!("the server answered with status {status}"),
        Err(cause) => {
            return Err(Unreachable {
                host: host(address)?,
                cause,
            }
            .into());
        }
    };
    let path = scratch.join("download");
    let mut file = File::create(&path)?;
    let mut body = response.body_mut().with_config().limit(BODY_LIMIT_BYTES).reader();
    std::io::copy(&mut body, &mut file).context("the download broke off")?;
    Ok(path)
}
