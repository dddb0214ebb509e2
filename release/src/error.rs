//! Reasons for which a release is refused.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("`{text}` is not the name of a release: one is such as o3-gpl@9.0.2-1")]
    Reference { text: String },

    #[error("`{text}` is no place of releases: one is a folder, http(s)://HOST/PATH or oci://HOST/PATH")]
    Location { text: String },

    #[error("the public key is not one of minisign's")]
    Key,

    #[error("{host} cannot be reached")]
    Unreachable { host: String, source: Box<ureq::Error> },

    #[error("{address} answered with status {status}")]
    Status { address: String, status: u16 },

    #[error("there is no {address}")]
    Missing { address: String },

    #[error("{address} leads elsewhere, to {to}, and that is not followed")]
    Redirect { address: String, to: String },

    #[error("{address} asks for a login in a way that is not known: {challenge}")]
    Login { address: String, challenge: String },

    /// The server is neither the registry's own nor one that was named as its token server.
    #[error(
        "{registry} wants a login at {server}, which was not named as its token server, so it is not shown the password"
    )]
    TokenServer { registry: String, server: String },

    #[error("the signature of {place} is not by this key")]
    Signature { place: String },

    #[error("{place} is signed as `{signed}`, and `{wanted}` was asked for")]
    Version {
        place: String,
        signed: String,
        wanted: String,
    },

    #[error("the sums of {place} cannot be read: `{line}`")]
    Sums { place: String, line: String },

    #[error("the release at {place} has no {file}")]
    NotListed { place: String, file: String },

    #[error("{address} is not what its release says\n  wanted sha256 {wanted}\n  got           {got}")]
    Digest {
        address: String,
        wanted: String,
        got: String,
    },

    #[error("{address} is larger than the {size_bytes} bytes that its release says")]
    TooLarge { address: String, size_bytes: u64 },

    #[error("the download of {address} broke off after {got_bytes} of {size_bytes} bytes; it goes on there next time")]
    BrokeOff {
        address: String,
        got_bytes: u64,
        size_bytes: u64,
    },

    #[error("the record of {name} contradicts its release: {reason}")]
    Record { name: String, reason: String },

    #[error(
        "{tag} is there already and is of another release, with sha256 {got} instead of {wanted}: count up the version"
    )]
    TagTaken { tag: String, wanted: String, got: String },

    #[error("{reference} is not in {}, and nowhere else may be asked", .cache.display())]
    NotCached { reference: String, cache: PathBuf },

    #[error("no place gave {reference}:{}", list(.failures))]
    Everywhere {
        reference: String,
        failures: Vec<(String, Error)>,
    },

    #[error("cannot use {}", .path.display())]
    File { path: PathBuf, source: io::Error },
}

fn list(failures: &[(String, Error)]) -> String {
    failures
        .iter()
        .map(|(place, error)| format!("\n  {place}: {}", error.to_string().replace('\n', "\n  ")))
        .collect()
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        |source| Error::File { path, source }
    }
}
