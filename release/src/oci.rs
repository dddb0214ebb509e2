//! Registries, by the few calls of the OCI distribution specification that releases need.
//!
//! A module is what the tools of that ecosystem expect: an image manifest with one layer of WebAssembly. Beside it, under
//! another tag, lies what makes it trustworthy: sums, signature and record.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::Body;
use ureq::http::{Method, Response, Uri, header};

use crate::Error;
use crate::http::{self, Http, Redirects};
use crate::location::SMALL_FILE_MAX_BYTES;
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

/// One repository of a registry.
pub struct Registry {
    http: Http,
    host: String,
    repository: String,
    credentials: Option<(String, String)>,
    /// What the registry wants to see with each call, once it has said so.
    authorization: Mutex<Option<String>>,
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
            authorization: Mutex::default(),
        }
    }

    pub fn credentials(mut self, user: &str, password: &str) -> Registry {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Only this machine's own registries are spoken to in the clear.
    fn address(&self, path: &str) -> String {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        let scheme = match name {
            "localhost" | "127.0.0.1" | "[::1]" => "http",
            _ => "https",
        };
        format!("{scheme}://{}/v2/{}/{path}", self.host, self.repository)
    }

    fn call(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        let mut headers = headers.to_vec();
        let known = self.authorization.lock().ok().and_then(|known| known.clone());
        headers.extend(known.map(|value| ("Authorization", value)));
        let response = self.http.call(method, address, &headers, body)?;
        if response.status() != 401 {
            return Ok(response);
        }
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let value = self.log_in(address, challenge)?;
        if let Ok(mut known) = self.authorization.lock() {
            *known = Some(value.clone());
        }
        headers.retain(|(name, _)| *name != "Authorization");
        headers.push(("Authorization", value));
        self.http.call(method, address, &headers, body)
    }

    fn basic(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        Some(format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    /// Answers a challenge: with name and password, or with a token that its server gives for them or to anybody.
    fn log_in(&self, address: &str, challenge: &str) -> Result<String, Error> {
        let unknown = || Error::Login {
            address: address.to_owned(),
            challenge: challenge.to_owned(),
        };
        let (kind, parameters) = challenge.split_once(' ').ok_or_else(unknown)?;
        if kind.eq_ignore_ascii_case("basic") {
            return self.basic().ok_or_else(unknown);
        }
        let server = Some(parameters).filter(|_| kind.eq_ignore_ascii_case("bearer"));
        let server = server.and_then(|parameters| token_address(address, parameters));
        let headers: Vec<_> = self.basic().into_iter().map(|value| ("Authorization", value)).collect();
        let response = self.http.get(&server.ok_or_else(unknown)?, &headers)?;
        let answer = json_of(response).map_err(|_| unknown())?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        Ok(format!("Bearer {}", token.ok_or_else(unknown)?))
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

    /// Publishes a module as its version, and the files that it is verified by beside it.
    pub fn push(
        &self,
        version: &str,
        module: &[u8],
        annotations: &Value,
        files: &[(&str, Vec<u8>)],
    ) -> Result<(), Error> {
        let layer = self.push_blob(module, WASM, json!({}))?;
        // The format wants a time, and a release has none: the same module must have the same manifest.
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
        // The module's tag comes last: who sees it finds all else.
        for (tag, manifest) in [
            ("", &manifest),
            (release_tag(version).as_str(), &release),
            (version, &manifest),
        ] {
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
            let from: Uri = start.parse().map_err(|_| Error::Location { text: start.clone() })?;
            let upload = http::resolve(&from, location.unwrap_or_default())?.to_string();
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

/// Where a challenge says that tokens are given, with what it says to ask for. A registry that is spoken to in secret must
/// not have the password told to anybody in the clear.
fn token_address(registry: &str, parameters: &str) -> Option<String> {
    let parameter = |name: &str| {
        let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut address = parameter("realm")?;
    if registry.starts_with("https:") && !address.starts_with("https:") {
        return None;
    }
    for name in ["service", "scope"] {
        if let Some(value) = parameter(name) {
            let separator = if address.contains('?') { '&' } else { '?' };
            address += &format!("{separator}{name}={}", value.replace(' ', "%20"));
        }
    }
    Some(address)
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

/// What a registry says, which is never long.
fn json_of(response: Response<Body>) -> io::Result<Value> {
    let reader = response.into_body().into_reader().take(SMALL_FILE_MAX_BYTES);
    Ok(serde_json::from_reader(reader)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_sent_in_the_clear_where_the_registry_is_not() {
        let parameters = |realm: &str| format!("realm=\"{realm}\",service=\"s\",scope=\"repository:a:pull\"");
        let registry = "https://registry.test/v2/a/manifests/1";
        let asked = token_address(registry, &parameters("https://tokens.test/t")).unwrap();
        assert_eq!(asked, "https://tokens.test/t?service=s&scope=repository:a:pull");
        assert_eq!(token_address(registry, &parameters("http://tokens.test/t")), None);
        assert_eq!(token_address(registry, "service=\"s\""), None);
    }
}
