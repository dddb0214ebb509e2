//! HTTP, with the patience and the mistrust that downloads need.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ureq::http::{HeaderValue, Method, Request, Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::Url;

use crate::Error;

/// Time to connect: bounds the cost of a server that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// Time without a byte: a server that stops in the middle costs no more than this.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a whole body: bounds a server that sends a byte now and then.
const BODY_TIMEOUT: Duration = Duration::from_secs(6 * 60 * 60);
/// The small files of a release are far smaller than this; a faulty server could send without end.
pub(crate) const SMALL_FILE_MAX_BYTES: u64 = 16 << 20;
/// Browsers follow a similar number of redirects in a row.
const REDIRECTS_MAX: usize = 10;

/// The authorities that this machine trusts, which has those of its owner's network among them, or that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; Mozilla's on a machine that has none.
static AUTHORITIES: LazyLock<RootCerts> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let certificates = found
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    RootCerts::Specific(Arc::new(certificates))
});

/// Returns what makes requests with the proxies of the usual variables, and follows no redirects itself.
pub fn agent(connect_timeout: Duration, response_timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_resolve(Some(connect_timeout))
        .timeout_connect(Some(connect_timeout))
        .timeout_recv_response(Some(response_timeout))
        .timeout_per_read(Some(READ_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("afmpeg/", env!("CARGO_PKG_VERSION")))
        // A part of a file is a part of its bytes as they lie on the server.
        .accept_encoding("identity")
        .tls_config(TlsConfig::builder().root_certs(AUTHORITIES.clone()).build())
        .build()
        .into()
}

/// The servers to which a redirect may lead.
#[derive(Debug, Clone)]
pub enum Redirects {
    /// Any server: for downloads that are pinned by digest.
    Anywhere,
    /// The same server, and these hosts.
    To(Vec<String>),
}

/// A value of the `Authorization` header, and the only server to which it is sent.
#[derive(Clone)]
pub(crate) struct Credential {
    value: HeaderValue,
    server: Uri,
}

impl Credential {
    /// Returns `None` if the server would receive the value unencrypted over a network.
    pub fn new(server: &Uri, value: &str) -> Option<Credential> {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        let server = server.clone();
        is_private(&server).then_some(Credential { value, server })
    }

    fn is_for(&self, uri: &Uri) -> bool {
        is_private(uri) && same_server(uri, &self.server)
    }
}

#[derive(Debug, Clone)]
pub struct Http {
    agent: Agent,
    redirects: Redirects,
}

impl Http {
    pub fn new(redirects: Redirects) -> Http {
        let agent = agent(CONNECT_TIMEOUT, RESPONSE_TIMEOUT);
        Http { agent, redirects }
    }

    /// Asks with GET. A status other than success is an error.
    pub fn get(&self, address: &str, headers: &[(&str, String)]) -> Result<Response<Body>, Error> {
        self.get_with(address, headers, None)
    }

    pub(crate) fn get_with(
        &self,
        address: &str,
        headers: &[(&str, String)],
        credential: Option<&Credential>,
    ) -> Result<Response<Body>, Error> {
        let response = self.call(&Method::GET, address, headers, credential, &[])?;
        let status = response.status();
        match status.as_u16() {
            404 | 410 => Err(Error::Missing {
                address: address.to_owned(),
            }),
            _ if status.is_success() => Ok(response),
            status => Err(Error::Status {
                address: address.to_owned(),
                status,
            }),
        }
    }

    /// Sends a request and returns what comes, whatever its status; only GET and HEAD are sent on to where a redirect
    /// leads. The credential goes with those requests that its own server gets.
    pub(crate) fn call(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&str, String)],
        credential: Option<&Credential>,
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        let mut uri = parse(address)?;
        let origin = uri.clone();
        for _ in 0..REDIRECTS_MAX {
            let mut request = Request::builder().method(method).uri(&uri);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if let Some(credential) = credential.filter(|credential| credential.is_for(&uri)) {
                request = request.header(header::AUTHORIZATION, &credential.value);
            }
            let unusable = |_| Error::Location {
                text: address.to_owned(),
            };
            let result = match *method {
                Method::GET | Method::HEAD => self.agent.run(request.body(()).map_err(unusable)?),
                _ => self.agent.run(request.body(body).map_err(unusable)?),
            };
            let response = result.map_err(|source| Error::Unreachable {
                host: uri.authority().map(ToString::to_string).unwrap_or_default(),
                source: Box::new(source),
            })?;
            let target = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok());
            let Some(target) = target.filter(|_| response.status().is_redirection() && method.is_safe()) else {
                return Ok(response);
            };
            let next = resolve(&uri, target)?;
            if !self.follows(&origin, &next) {
                return Err(Error::Redirect {
                    address: address.to_owned(),
                    to: next.to_string(),
                });
            }
            uri = next;
        }
        Err(Error::Redirect {
            address: address.to_owned(),
            to: uri.to_string(),
        })
    }

    fn follows(&self, from: &Uri, to: &Uri) -> bool {
        let weaker = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
        match &self.redirects {
            Redirects::Anywhere => true,
            Redirects::To(hosts) => {
                let allowed = hosts.iter().any(|host| to.host() == Some(host.as_str()));
                !weaker && (same_server(from, to) || allowed)
            }
        }
    }
}

/// Returns what `get` gives with the headers for the bytes from here on, and where it begins: at the beginning where the server
/// cannot do otherwise.
pub fn from_byte(
    start_bytes: u64,
    get: impl Fn(&[(&str, String)]) -> Result<Response<Body>, Error>,
) -> Result<(Response<Body>, u64), Error> {
    if start_bytes > 0 {
        match get(&[("Range", format!("bytes={start_bytes}-"))]) {
            // What is there is not a beginning of the server's present file.
            Err(Error::Status { status: 416, .. }) => {}
            response => {
                let response = response?;
                let is_part = response.status() == 206;
                let begins = response.headers().get(header::CONTENT_RANGE);
                let begins = begins.and_then(|range| range.to_str().ok()?.strip_prefix("bytes ")?.split_once('-'));
                match begins.and_then(|(begin, _)| begin.parse().ok()) {
                    _ if !is_part => return Ok((response, 0)),
                    Some(begin) if begin == start_bytes => return Ok((response, begin)),
                    _ => {}
                }
            }
        }
    }
    Ok((get(&[])?, 0))
}

/// Parses the address of an HTTP server. A name and password are refused, since they only make it look like another
/// server's.
pub(crate) fn parse(address: &str) -> Result<Uri, Error> {
    let is_usable = |uri: &Uri| {
        let is_plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        is_plain && matches!(uri.scheme_str(), Some("http" | "https"))
    };
    address.parse().ok().filter(is_usable).ok_or_else(|| Error::Location {
        text: address.to_owned(),
    })
}

/// The same scheme, host and port.
pub(crate) fn same_server(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| {
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        uri.port_u16().unwrap_or(usual)
    };
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    one.scheme_str() == other.scheme_str() && host(one) == host(other) && port(one) == port(other)
}

/// Returns whether the address names this host.
pub(crate) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns whether a connection to this server is encrypted or stays on this host.
pub(crate) fn is_private(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https") || is_loopback(uri)
}

/// Resolves the address in a `Location` header against the address that returned it.
pub(crate) fn resolve(from: &Uri, target: &str) -> Result<Uri, Error> {
    let unusable = |_| Error::Location {
        text: target.to_owned(),
    };
    let base = Url::parse(&from.to_string()).map_err(unusable)?;
    parse(base.join(target).map_err(unusable)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_credential_is_for_one_server_and_for_no_network_in_the_clear() {
        let server = uri("https://registry.test/v2/");
        let credential = Credential::new(&server, "Basic secret").unwrap();
        for own in ["https://registry.test/t", "https://REGISTRY.test:443/t"] {
            assert!(credential.is_for(&uri(own)), "{own}");
        }
        for other in [
            "http://registry.test/",
            "http://registry.test:443/",
            "https://registry.test:8443/",
            "https://registry.test.evil.test/",
            "https://evil.test/registry.test",
        ] {
            assert!(!credential.is_for(&uri(other)), "{other}");
        }
        assert!(Credential::new(&uri("http://registry.test/"), "Basic secret").is_none());
        for loopback in ["http://localhost:5000/", "http://127.8.8.8/", "http://[::1]:5000/"] {
            assert!(Credential::new(&uri(loopback), "Basic secret").is_some(), "{loopback}");
        }
        assert!(Credential::new(&uri("http://localhost.evil.test/"), "Basic secret").is_none());
        assert!(parse("https://registry.test@evil.test/").is_err());
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        let from = uri("https://registry.test/v2/a/uploads/?x=1");
        for (target, wanted) in [
            ("https://other.test/u", "https://other.test/u"),
            ("//other.test/u", "https://other.test/u"),
            (
                "/u?to=https://other.test/",
                "https://registry.test/u?to=https://other.test/",
            ),
            ("u", "https://registry.test/v2/a/uploads/u"),
            ("?y=2", "https://registry.test/v2/a/uploads/?y=2"),
            ("", "https://registry.test/v2/a/uploads/?x=1"),
            ("../../b?y=2", "https://registry.test/v2/b?y=2"),
            ("/../../b", "https://registry.test/b"),
            ("HTTPS://Other.TEST:443/u", "https://other.test/u"),
            ("//other.test:8443?q", "https://other.test:8443/?q"),
            ("https://[::1]:5000/u", "https://[::1]:5000/u"),
            ("/u#part", "https://registry.test/u"),
            ("\\\\other.test\\u", "https://other.test/u"),
        ] {
            assert_eq!(resolve(&from, target).unwrap(), wanted, "{target}");
        }
        // What has no server is not followed, nor what only looks like another server's.
        for target in [
            "mailto:a@b.test",
            "data:,a",
            "u:1/v",
            "//registry.test@evil.test/u",
            "https://",
            "//[::1/u",
        ] {
            assert!(resolve(&from, target).is_err(), "{target}");
        }
    }
}
