//! Downloads over HTTP and HTTPS.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use afmpeg_release::{Error, Http, Redirects};
use anyhow::{Context, Result, ensure};

/// No input is larger; what is would fill the disk of a user who meets a wrong server.
const BODY_LIMIT_BYTES: u64 = 2 << 30;

/// Whether the server did not answer at all, so that asking it again in this run makes no sense.
pub fn is_unreachable(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(Error::Unreachable { .. })))
}

/// The host, with its port, of a URL.
pub fn host(address: &str) -> Result<String> {
    let (_, rest) = address
        .split_once("://")
        .with_context(|| format!("{address} is not a URL"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ensure!(!host.is_empty(), "{address} names no host");
    Ok(host.to_owned())
}

pub fn download(address: &str, scratch: &Path) -> Result<PathBuf> {
    let response = Http::new(Redirects::Anywhere).get(address, &[])?;
    let path = scratch.join("download");
    let mut file = File::create(&path)?;
    let mut body = response.into_body().into_reader().take(BODY_LIMIT_BYTES);
    std::io::copy(&mut body, &mut file).context("the download broke off")?;
    Ok(path)
}
