//! HTTP, with the patience and the mistrust that downloads need.

use std::time::Duration;

use ureq::http::{Method, Request, Response, Uri, header};
use ureq::{Agent, Body};

use crate::Error;

/// A dead server costs this much once, not minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// A slow line may take long for a large file, but not for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// As many redirects in a row are followed as a browser would.
const REDIRECTS_MAX: usize = 10;

/// Where a server may send a download.
#[derive(Debug, Clone)]
pub enum Redirects {
    /// Anywhere: for what is pinned by its digest.
    Anywhere,
    /// To itself, and to these hosts.
    To(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct Http {
    agent: Agent,
    redirects: Redirects,
}

impl Http {
    pub fn new(redirects: Redirects) -> Http {
        let agent = Agent::config_builder()
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_recv_body(Some(BODY_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("afmpeg/", env!("CARGO_PKG_VERSION")))
            // A part of a file is a part of its bytes as they lie on the server.
            .accept_encoding("identity")
            .build()
            .into();
        Http { agent, redirects }
    }

    /// Asks with GET. A status other than success is an error.
    pub fn get(&self, address: &str, headers: &[(&str, String)]) -> Result<Response<Body>, Error> {
        let response = self.call(&Method::GET, address, headers, &[])?;
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

    /// Sends a request and returns what comes, whatever its status; only GET and HEAD are sent on to where a redirect leads.
    pub fn call(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        let mut uri = parse(address)?;
        let origin = uri.clone();
        for _ in 0..REDIRECTS_MAX {
            let mut request = Request::builder().method(method).uri(&uri);
            for (name, value) in headers {
                // Another host has no right to what this one trusts us by.
                if !name.eq_ignore_ascii_case("authorization") || same_host(&uri, &origin) {
                    request = request.header(*name, value);
                }
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
                !weaker && (same_host(from, to) || allowed)
            }
        }
    }
}

fn parse(address: &str) -> Result<Uri, Error> {
    address
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.authority().is_some())
        .ok_or_else(|| Error::Location {
            text: address.to_owned(),
        })
}

fn same_host(one: &Uri, other: &Uri) -> bool {
    one.authority() == other.authority()
}

/// What an address in a `Location` header means, seen from where it was given.
pub(crate) fn resolve(from: &Uri, target: &str) -> Result<Uri, Error> {
    if target.contains("://") {
        return parse(target);
    }
    let base = format!(
        "{}://{}",
        from.scheme_str().unwrap_or("https"),
        from.authority().map(ToString::to_string).unwrap_or_default()
    );
    if target.starts_with('/') {
        return parse(&format!("{base}{target}"));
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    parse(&format!("{base}{folder}/{target}"))
}
