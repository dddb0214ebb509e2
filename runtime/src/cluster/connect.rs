//! Reaching the server.

use super::error::Error;
use super::queue::Queue;
use super::refusals::Refusals;
use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, ServerError};
use rustls::Error as TlsError;
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

/// A server that was started a moment ago does not answer yet.
const STARTS_WITHIN: Duration = Duration::from_secs(3);

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

    /// A file of certificates of authorities, in PEM, of which the server's has to be; those of the system do not count then.
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
        let refusals = Refusals::default();
        let mut options = ConnectOptions::new()
            .name("afmpeg")
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(5)))
            .event_callback(refusals.listener())
            // Servers that are heard of later, and one that somebody else answers for, have to be known as well.
            .require_tls(self.wants_tls());
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
        let started = Instant::now();
        let client = loop {
            match options.clone().connect(&servers[..]).await {
                Ok(client) => break client,
                Err(error) => match unconnected(error, address.clone()) {
                    Error::Unreachable { .. } if started.elapsed() < STARTS_WITHIN => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    error => return Err(error),
                },
            }
        };
        Queue::open(client, &address, refusals).await
    }

    /// Whether nothing is to be said in the clear.
    fn wants_tls(&self) -> bool {
        let mut addresses = self.address.split(',');
        self.authorities.is_some()
            || self.certificate.is_some()
            || addresses.any(|address| address.trim().starts_with("tls://"))
    }
}

/// What a connection that was not made is told as.
fn unconnected(error: ConnectError, address: String) -> Error {
    let kind = error.kind();
    let (tls, said) = (tls_error(&error).cloned(), server_error(&error).cloned());
    let source = error.into();
    match (kind, tls, said) {
        (ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation, ..) => {
            Error::Credentials { address, source }
        }
        (ConnectErrorKind::Tls, ..) => Error::CredentialsUnreadable { source },
        (_, Some(TlsError::InvalidCertificate(_)), _) => Error::Certificate { address, source },
        // It wants a certificate of this side, or another one.
        (_, Some(TlsError::AlertReceived(_)), _) => Error::Credentials { address, source },
        (_, Some(_), _) => Error::NoTls { address, source },
        (_, None, Some(said)) if is_about_credentials(&said) => Error::Credentials { address, source },
        (_, None, Some(_)) => Error::Refused { address, source },
        (_, None, None) => Error::Unreachable { address, source },
    }
}

fn tls_error(error: &ConnectError) -> Option<&TlsError> {
    causes(error).find_map(|cause| match cause.downcast_ref::<std::io::Error>() {
        // Such an error leaves itself out of its causes.
        Some(error) => error.get_ref()?.downcast_ref(),
        None => cause.downcast_ref(),
    })
}

/// What the server has said, before it closed the connection.
fn server_error(error: &ConnectError) -> Option<&ServerError> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Those that have expired or were revoked are told by words alone.
fn is_about_credentials(said: &ServerError) -> bool {
    let words = said.to_string().to_ascii_lowercase();
    ["authentication", "authorization", "revoked"]
        .iter()
        .any(|word| words.contains(word))
}

fn causes(error: &ConnectError) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| {
        cause.source()
    })
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
