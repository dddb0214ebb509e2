//! Downloads over HTTP and HTTPS.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use afmpeg_release::{Error, Http, Redirects, from_byte};
use anyhow::{Context, Result};
use url::Url;

/// No input is larger; what is would fill the disk of a user who meets a wrong server.
const BODY_LIMIT_BYTES: u64 = 2 << 30;

/// Whether the server did not answer at all, so that asking it again in this run makes no sense.
pub fn is_unreachable(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(Error::Unreachable { .. })))
}

/// The host of a URL, with its port where it is not the usual one.
pub fn host(address: &str) -> Result<String> {
    let url = Url::parse(address).with_context(|| format!("{address} is not a URL"))?;
    let host = url.host_str().with_context(|| format!("{address} names no host"))?;
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// What the file at a URL is called.
pub fn file_name(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let name = url.path_segments()?.next_back()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Downloads into a file; where that has a beginning, the rest.
pub fn download(address: &str, path: &Path) -> Result<()> {
    let http = Http::new(Redirects::Anywhere);
    let had_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (response, start_bytes) = from_byte(had_bytes, |headers| http.get(address, headers))?;
    let mut file = File::options().create(true).write(true).truncate(false).open(path)?;
    file.set_len(start_bytes)?;
    file.seek(SeekFrom::End(0))?;
    let limit_bytes = BODY_LIMIT_BYTES.saturating_sub(start_bytes);
    let mut body = response.into_body().into_reader().take(limit_bytes);
    std::io::copy(&mut body, &mut file).context("the download broke off")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_file() {
        for (address, wanted_host, wanted_name) in [
            ("https://a.test/b/c.tar.gz", "a.test", Some("c.tar.gz")),
            (
                "https://A.test:443/c.tar.gz?from=/d/e.zip#f/g",
                "a.test",
                Some("c.tar.gz"),
            ),
            ("http://a.test:8080?c=/d", "a.test:8080", None),
            ("http://user:word@a.test/c", "a.test", Some("c")),
            ("http://[::1]:9/c/", "[::1]:9", None),
        ] {
            assert_eq!(host(address).unwrap(), wanted_host, "{address}");
            assert_eq!(file_name(address).as_deref(), wanted_name, "{address}");
        }
        for address in [
            "a.test/b",
            "//a.test/b",
            "https://",
            "mailto:a@b.test",
            "http://a.test:port/",
        ] {
            assert!(host(address).is_err(), "{address}");
        }
    }
}
