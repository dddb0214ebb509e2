//! Reaching the server.

use super::error::Error;
use super::queue::Queue;
use async_nats::{ConnectErrorKind, ConnectOptions};
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

/// How to reach a NATS server, and as whom.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Connection {
    address: String,
    credentials: Option<PathBuf>,
    authorities: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl Connection {
    /// An address, such as `nats://127.0.0.1:4222` or `tls://nats.example`, or several with commas between them.
    pub fn new(address: impl Into<String>) -> Connection {
        Connection {
            address: address.into(),
            ..Connection::default()
        }
    }

    /// A file of credentials, as `nsc` makes them.
    pub fn credentials(mut self, path: impl Into<PathBuf>) -> Connection {
        self.credentials = Some(path.into());
        self
    }

    /// A file of certificates of authorities, in PEM, by which the server is known besides those of the system.
    pub fn authorities(mut self, path: impl Into<PathBuf>) -> Connection {
        self.authorities = Some(path.into());
        self
    }

    /// Files of a certificate and its key, in PEM, by which this side is known.
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Connection {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    pub(super) async fn open(&self) -> Result<Queue, Error> {
        use_ring();
        let mut options = ConnectOptions::new()
            .name("afmpeg")
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(5)));
        if let Some(path) = &self.credentials {
            let options_with = options.credentials_file(path).await;
            options = options_with.map_err(|error| unusable(path, error))?;
        }
        if let Some(path) = &self.authorities {
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if let Some((name, word)) = in_address(&self.address) {
            options = match word {
                Some(word) => options.user_and_password(name, word),
                None => options.token(name),
            };
        }
        let address = shown(&self.address);
        let servers: Vec<&str> = self.address.split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|error| match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => Error::Credentials {
                address: address.clone(),
                source: error.into(),
            },
            ConnectErrorKind::Tls => Error::CredentialsUnreadable { source: error.into() },
            _ => Error::Unreachable {
                address: address.clone(),
                source: error.into(),
            },
        })?;
        Queue::open(client, &address).await
    }
}

fn unusable(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::CredentialsUnreadable {
        source: std::io::Error::new(error.kind(), format!("{}: {error}", path.display())).into(),
    }
}

/// The name and password in an address, or a token alone.
fn in_address(addresses: &str) -> Option<(String, Option<String>)> {
    let (_, rest) = addresses.split(',').next()?.split_once("://")?;
    let (given, _) = rest.rsplit_once('@')?;
    let decoded = |text: &str| {
        // As in a form's field, but that these three stand for themselves.
        let field = text.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
        let decoded = url::form_urlencoded::parse(field.as_bytes()).next();
        decoded.map_or_else(String::new, |(text, _)| text.into_owned())
    };
    Some(match given.split_once(':') {
        Some((name, word)) => (decoded(name), Some(decoded(word))),
        None => (decoded(given), None),
    })
}

/// Addresses without the names and passwords in them.
fn shown(addresses: &str) -> String {
    let shown = addresses.split(',').map(|address| {
        let (scheme, rest) = address.trim().split_once("://").unwrap_or(("nats", address.trim()));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{host}")
    });
    shown.collect::<Vec<_>>().join(",")
}

/// Two crates below want a library of cryptography to be chosen.
pub(super) fn use_ring() {
    static ONCE: Once = Once::new();
    // A program that has chosen one keeps it.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
