//! Registries, by the few calls of the OCI distribution specification that releases need.
//!
//! A module is what the tools of that ecosystem expect: an image manifest with one layer of WebAssembly. Beside it,
//! under another tag, lies what makes it trustworthy: sums, signature and record.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::http::{Method, Response, Uri, header};
use ureq::{Body, ResponseExt};

use crate::Error;
use crate::http::{self, Credential, Http, Redirects, SMALL_FILE_MAX_BYTES};
use crate::sums::sha256;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";
const RELEASE: &str = "application/vnd.afmpeg.release.v1";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const TITLE: &str = "org.opencontainers.image.title";

/// The tag of what a module of this version is verified by.
pub fn release_tag(version: &str) -> String {
    format!("{version}.release")
}

/// Names of files, and the digests under which a registry keeps them.
pub type Files = BTreeMap<String, String>;

/// Token servers that belong to registries of another name, and may be shown the password for them.
const TOKEN_SERVERS: [(&str, &str); 3] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// One repository of a registry.
pub struct Registry {
    http: Http,
    host: String,
    repository: String,
    credentials: Option<(String, String)>,
    /// The server that gives tokens for this registry, where it is neither the registry nor one of [`TOKEN_SERVERS`].
    token_server: Option<String>,
    /// The `Authorization` value of further calls, once the registry has asked for one.
    authorization: Mutex<Option<Credential>>,
}

impl fmt::Debug for Registry {
    /// Without what it was logged in with.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Registry")
            .field("host", &self.host)
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "oci://{}/{}", self.host, self.repository)
    }
}

impl Registry {
    pub fn new(host: &str, repository: &str, redirects: Redirects) -> Registry {
        Registry {
            http: Http::new(redirects),
            host: host.to_owned(),
            repository: repository.to_owned(),
            credentials: None,
            token_server: None,
            authorization: Mutex::default(),
        }
    }

    pub fn credentials(mut self, user: &str, password: &str) -> Registry {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Allows this server, `HOST` or `HOST:PORT`, to receive name and password when the registry names it as its token
    /// server. The registry itself always may.
    pub fn token_server(mut self, host: &str) -> Registry {
        self.token_server = Some(host.to_owned());
        self
    }

    /// Returns the address of a server: plain HTTP for localhost, HTTPS for all others.
    fn server(host: &str) -> String {
        let in_the_clear = format!("http://{host}");
        match in_the_clear.parse() {
            Ok(uri) if http::is_loopback(&uri) => in_the_clear,
            _ => format!("https://{host}"),
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", Registry::server(&self.host), self.repository)
    }

    fn call(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        let known = self.authorization.lock().ok().and_then(|known| known.clone());
        let response = self.http.call(method, address, headers, known.as_ref(), body)?;
        let own = http::parse(&self.address(""))?;
        // Only the registry may ask for a login, not those that it sends us to.
        if response.status() != 401 || !http::same_server(response.get_uri(), &own) {
            return Ok(response);
        }
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let credential = self.log_in(&own, address, challenge)?;
        if let Ok(mut known) = self.authorization.lock() {
            *known = Some(credential.clone());
        }
        self.http.call(method, address, headers, Some(&credential), body)
    }

    /// Name and password, for a server that may see them.
    fn password(&self, server: &Uri) -> Option<Credential> {
        let (user, password) = self.credentials.as_ref()?;
        let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        Credential::new(server, &value)
    }

    /// Answers a challenge: with name and password, or with a token that its server gives for them or to anybody.
    fn log_in(&self, own: &Uri, address: &str, challenge: &str) -> Result<Credential, Error> {
        let unknown = || Error::Login {
            address: address.to_owned(),
            challenge: challenge.to_owned(),
        };
        let (kind, parameters) = challenge.split_once(' ').ok_or_else(unknown)?;
        if kind.eq_ignore_ascii_case("basic") {
            return self.password(own).ok_or_else(unknown);
        }
        let server = Some(parameters).filter(|_| kind.eq_ignore_ascii_case("bearer"));
        let server = server
            .and_then(|parameters| token_address(own, parameters))
            .ok_or_else(unknown)?;
        let uri = http::parse(&server)?;
        if self.credentials.is_some() && !self.gives_tokens(own, &uri) {
            return Err(Error::TokenServer {
                registry: self.host.clone(),
                server: uri.authority().map(ToString::to_string).unwrap_or_default(),
            });
        }
        let response = self.http.get_with(&server, &[], self.password(&uri).as_ref())?;
        let answer = json_of(response).map_err(|_| unknown())?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        let token = token.and_then(|token| Credential::new(own, &format!("Bearer {token}")));
        token.ok_or_else(unknown)
    }

    /// Returns whether this server may receive the password for the registry.
    fn gives_tokens(&self, own: &Uri, server: &Uri) -> bool {
        let is = |host: &str| http::parse(&Registry::server(host)).is_ok_and(|uri| http::same_server(&uri, server));
        let paired = TOKEN_SERVERS
            .iter()
            .any(|(registry, tokens)| *registry == self.host && is(tokens));
        http::same_server(own, server) || paired || self.token_server.as_deref().is_some_and(is)
    }

    fn get(&self, address: &str, headers: &[(&str, String)]) -> Result<Response<Body>, Error> {
        let response = self.call(&Method::GET, address, headers, &[])?;
        expect(response, address, &[200, 206])
    }

    pub(crate) fn blob(&self, sha256: &str, headers: &[(&str, String)]) -> Result<Response<Body>, Error> {
        self.get(&self.address(&format!("blobs/sha256:{sha256}")), headers)
    }

    /// The files of an artifact, by the titles of its layers.
    pub(crate) fn files(&self, tag: &str) -> Result<Files, Error> {
        let address = self.address(&format!("manifests/{tag}"));
        let response = self.get(&address, &[("Accept", MANIFEST.to_owned())])?;
        let manifest = json_of(response).map_err(Error::file(address))?;
        let layers = manifest["layers"].as_array().into_iter().flatten();
        Ok(layers
            .filter_map(|layer| {
                let digest = layer["digest"].as_str()?.strip_prefix("sha256:")?;
                Some((layer["annotations"][TITLE].as_str()?.to_owned(), digest.to_owned()))
            })
            .collect())
    }

    /// Publishes a module as its version, and the files that it is verified by beside it. A version that is there already
    /// must be the same: who has pulled it relies on that.
    pub fn push(
        &self,
        version: &str,
        module: &[u8],
        annotations: &Value,
        files: &[(&str, Vec<u8>)],
    ) -> Result<(), Error> {
        let layer = self.push_blob(module, WASM, json!({}))?;
        // The format requires a time, and a release has none: the same module must have the same manifest.
        let config = json!({
            "architecture": "wasm",
            "created": "1970-01-01T00:00:00Z",
            "layerDigests": [layer["digest"]],
            "os": "wasip1",
        });
        let config = self.push_blob(config.to_string().as_bytes(), WASM_CONFIG, json!({}))?;
        let manifest = json!({
            "annotations": annotations,
            "config": config,
            "layers": [layer],
            "mediaType": MANIFEST,
            "schemaVersion": 2,
        })
        .to_string();
        let layers = files
            .iter()
            .map(|(name, data)| self.push_blob(data, "application/octet-stream", json!({ TITLE: name })))
            .collect::<Result<Vec<Value>, Error>>()?;
        let release = json!({
            "artifactType": RELEASE,
            "config": self.push_blob(b"{}", EMPTY, json!({}))?,
            "layers": layers,
            "mediaType": MANIFEST,
            "schemaVersion": 2,
            "subject": {
                "digest": format!("sha256:{}", sha256(manifest.as_bytes())),
                "mediaType": MANIFEST,
                "size": manifest.len(),
            },
        })
        .to_string();
        let release_tag = release_tag(version);
        for (tag, manifest) in [(&*release_tag, &release), (version, &manifest)] {
            self.check_tag(tag, &sha256(manifest.as_bytes()))?;
        }
        // The module's tag comes last: who sees it finds all else.
        for (tag, manifest) in [("", &manifest), (&release_tag, &release), (version, &manifest)] {
            let digest = format!("sha256:{}", sha256(manifest.as_bytes()));
            let name = if tag.is_empty() { &digest } else { tag };
            let address = self.address(&format!("manifests/{name}"));
            let headers = [("Content-Type", MANIFEST.to_owned())];
            expect(
                self.call(&Method::PUT, &address, &headers, manifest.as_bytes())?,
                &address,
                &[201],
            )?;
        }
        Ok(())
    }

    /// Fails where a tag is there and is of another manifest.
    fn check_tag(&self, tag: &str, wanted: &str) -> Result<(), Error> {
        let address = self.address(&format!("manifests/{tag}"));
        let headers = [("Accept", format!("{MANIFEST}, */*"))];
        let response = self.call(&Method::GET, &address, &headers, &[])?;
        if response.status() == 404 {
            return Ok(());
        }
        let mut data = Vec::new();
        expect(response, &address, &[200])?
            .into_body()
            .into_reader()
            .take(SMALL_FILE_MAX_BYTES)
            .read_to_end(&mut data)
            .map_err(Error::file(&address))?;
        let got = sha256(&data);
        match got == wanted {
            true => Ok(()),
            false => Err(Error::TagTaken {
                tag: format!("{self}:{tag}"),
                wanted: wanted.to_owned(),
                got,
            }),
        }
    }

    /// Uploads what the registry does not have, and returns its descriptor.
    fn push_blob(&self, data: &[u8], media_type: &str, annotations: Value) -> Result<Value, Error> {
        let digest = format!("sha256:{}", sha256(data));
        let address = self.address(&format!("blobs/{digest}"));
        if self.call(&Method::HEAD, &address, &[], &[])?.status() != 200 {
            let start = self.address("blobs/uploads/");
            let response = expect(self.call(&Method::POST, &start, &[], &[])?, &start, &[202])?;
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok());
            let from = http::parse(&start)?;
            let upload = http::resolve(&from, location.unwrap_or_default())?;
            if !may_send_to(&from, &upload) {
                return Err(Error::Redirect {
                    address: start,
                    to: upload.to_string(),
                });
            }
            let upload = upload.to_string();
            let separator = if upload.contains('?') { '&' } else { '?' };
            let upload = format!("{upload}{separator}digest={digest}");
            let headers = [("Content-Type", "application/octet-stream".to_owned())];
            expect(self.call(&Method::PUT, &upload, &headers, data)?, &address, &[201])?;
        }
        let mut descriptor = json!({ "digest": digest, "mediaType": media_type, "size": data.len() });
        if annotations.as_object().is_some_and(|entries| !entries.is_empty()) {
            descriptor["annotations"] = annotations;
        }
        Ok(descriptor)
    }
}

/// Returns whether the client follows the registry to this server. Over plain HTTP only localhost is allowed, and a
/// registry on the network may not send it to localhost.
fn may_send_to(registry: &Uri, server: &Uri) -> bool {
    let inward = http::is_loopback(server) && !http::is_loopback(registry);
    http::is_private(server) && !inward
}

/// Returns the address of a challenge's token server, with the challenge's service and scope as query.
fn token_address(registry: &Uri, parameters: &str) -> Option<String> {
    let parameters = parameters_of(parameters);
    let mut address = (*parameters.get("realm")?).to_owned();
    if !may_send_to(registry, &http::parse(&address).ok()?) || address.contains('#') {
        return None;
    }
    for name in ["service", "scope"] {
        if let Some(value) = parameters.get(name) {
            let separator = if address.contains('?') { '&' } else { '?' };
            address += &format!("{separator}{name}={}", escape(value));
        }
    }
    Some(address)
}

/// A challenge's `name="value"`, separated by commas, of which a value may have some too.
fn parameters_of(mut text: &str) -> BTreeMap<&str, &str> {
    let mut parameters = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        parameters.insert(name.trim_matches([' ', ',']), value);
        text = after;
    }
    parameters
}

/// A value as it stands in a query, so that it cannot end there.
fn escape(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
    let escaped = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(escaped).collect()
}

fn expect(response: Response<Body>, address: &str, statuses: &[u16]) -> Result<Response<Body>, Error> {
    let status = response.status().as_u16();
    match status {
        _ if statuses.contains(&status) => Ok(response),
        404 => Err(Error::Missing {
            address: address.to_owned(),
        }),
        _ => Err(Error::Status {
            address: address.to_owned(),
            status,
        }),
    }
}

/// Parses a JSON response of limited size.
fn json_of(response: Response<Body>) -> io::Result<Value> {
    let reader = response.into_body().into_reader().take(SMALL_FILE_MAX_BYTES);
    Ok(serde_json::from_reader(reader)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn tokens_are_asked_for_in_secret_and_of_this_machine_only_by_itself() {
        let parameters = |realm: &str| format!("realm=\"{realm}\",service=\"s&t\",scope=\"repository:a:pull,push\"");
        let registry = uri("https://registry.test/v2/a/manifests/1");
        let asked = token_address(&registry, &parameters("https://tokens.test/t")).unwrap();
        assert_eq!(
            asked,
            "https://tokens.test/t?service=s%26t&scope=repository:a:pull,push"
        );
        for realm in [
            "http://tokens.test/t",
            "http://127.0.0.1/t",
            "https://localhost/t",
            "https://registry.test@evil.test/t",
            "file:///t",
        ] {
            assert_eq!(token_address(&registry, &parameters(realm)), None, "{realm}");
        }
        assert_eq!(token_address(&registry, "service=\"realm=\""), None);
        let here = uri("http://127.0.0.1:5000/v2/");
        assert!(token_address(&here, &parameters("http://127.0.0.1:5001/t")).is_some());
        assert_eq!(token_address(&here, &parameters("http://tokens.test/t")), None);
    }

    #[test]
    fn the_password_is_for_the_registry_and_for_token_servers_that_are_its_own() {
        let may = |registry: Registry, server: &str| {
            let own = http::parse(&registry.address("")).unwrap();
            registry.gives_tokens(&own, &uri(server))
        };
        let registry = |host: &str| Registry::new(host, "a", Redirects::To(Vec::new()));
        assert!(may(registry("ghcr.test"), "https://ghcr.test/token"));
        assert!(!may(registry("ghcr.test"), "https://ghcr.test:444/token"));
        assert!(!may(registry("ghcr.test"), "https://tokens.test/token"));
        assert!(may(
            registry("ghcr.test").token_server("tokens.test"),
            "https://tokens.test/token"
        ));
        assert!(!may(
            registry("ghcr.test").token_server("tokens.test"),
            "http://tokens.test/token"
        ));
        assert!(may(registry("registry-1.docker.io"), "https://auth.docker.io/token"));
        assert!(!may(registry("ghcr.test"), "https://auth.docker.io/token"));
    }
}
