//! The places that releases are read from: folders, web servers and registries.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::str::FromStr;

use crate::http::{Http, Redirects, SMALL_FILE_MAX_BYTES, from_byte};
use crate::oci::{self, Registry};
use crate::{Error, Reference};

/// A place that has releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A release folder, such as `cargo xtask dist` writes.
    Folder(PathBuf),
    /// A web server that has a release folder's files below this address.
    Url(String),
    /// A registry, and what comes before the names of modules in it.
    Registry { host: String, namespace: String },
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Location, Error> {
        let wrong = || Error::Location { text: text.to_owned() };
        if let Some(address) = text.strip_prefix("oci://") {
            let (host, namespace) = address.trim_end_matches('/').split_once('/').ok_or_else(wrong)?;
            if host.is_empty() || namespace.is_empty() {
                return Err(wrong());
            }
            return Ok(Location::Registry {
                host: host.to_owned(),
                namespace: namespace.to_owned(),
            });
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Location::Url(text.trim_end_matches('/').to_owned()));
        }
        if text.is_empty() || text.contains("://") {
            return Err(wrong());
        }
        Ok(Location::Folder(text.into()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Location::Folder(path) => write!(formatter, "{}", path.display()),
            Location::Url(address) => formatter.write_str(address),
            Location::Registry { host, namespace } => write!(formatter, "oci://{host}/{namespace}"),
        }
    }
}

/// A location, open for the files of one module.
pub(crate) enum Source {
    Folder(PathBuf),
    Url { http: Http, address: String },
    Registry { registry: Box<Registry>, files: oci::Files },
}

impl Source {
    pub fn open(location: &Location, reference: &Reference, redirects: Redirects) -> Result<Source, Error> {
        Ok(match location {
            Location::Folder(path) => Source::Folder(path.clone()),
            Location::Url(address) => Source::Url {
                http: Http::new(redirects),
                address: address.clone(),
            },
            Location::Registry { host, namespace } => {
                let registry = Registry::new(host, &format!("{namespace}/{}", reference.name), redirects);
                let files = registry.files(&oci::release_tag(&reference.version))?;
                Source::Registry {
                    registry: Box::new(registry),
                    files,
                }
            }
        })
    }

    /// Returns the form of the module at this place: registries keep it as the engines of their ecosystem expect it.
    pub fn form(&self) -> &'static str {
        match self {
            Source::Registry { .. } => "wasm",
            Source::Folder(_) | Source::Url { .. } => "wasm.br",
        }
    }

    pub fn address(&self, file: &str) -> String {
        match self {
            Source::Folder(path) => path.join(file).display().to_string(),
            Source::Url { address, .. } => format!("{address}/{file}"),
            Source::Registry { registry, .. } => format!("{registry}/{file}"),
        }
    }

    /// A whole small file.
    pub fn small(&self, file: &str) -> Result<Vec<u8>, Error> {
        let (reader, _) = match self {
            Source::Registry { files, .. } => {
                let digest = files.get(file).ok_or_else(|| Error::Missing {
                    address: self.address(file),
                })?;
                self.open_at(file, digest, 0)?
            }
            _ => self.open_at(file, "", 0)?,
        };
        let mut data = Vec::new();
        reader
            .take(SMALL_FILE_MAX_BYTES + 1)
            .read_to_end(&mut data)
            .map_err(Error::file(self.address(file)))?;
        if data.len() as u64 > SMALL_FILE_MAX_BYTES {
            return Err(Error::TooLarge {
                address: self.address(file),
                size_bytes: SMALL_FILE_MAX_BYTES,
            });
        }
        Ok(data)
    }

    /// The bytes of a file from `start_bytes` on, or from its beginning where the server cannot do otherwise, and
    /// which.
    pub fn open_at(&self, file: &str, sha256: &str, start_bytes: u64) -> Result<(Box<dyn Read>, u64), Error> {
        let address = self.address(file);
        let (response, start_bytes) = match self {
            Source::Folder(path) => {
                let mut file = File::open(path.join(file)).map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => Error::Missing {
                        address: address.clone(),
                    },
                    _ => Error::file(&address)(source),
                })?;
                file.seek(SeekFrom::Start(start_bytes)).map_err(Error::file(&address))?;
                return Ok((Box::new(file), start_bytes));
            }
            Source::Url { http, .. } => from_byte(start_bytes, |headers| http.get(&address, headers))?,
            Source::Registry { registry, .. } => from_byte(start_bytes, |headers| registry.blob(sha256, headers))?,
        };
        Ok((Box::new(response.into_body().into_reader()), start_bytes))
    }
}
