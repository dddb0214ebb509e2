//! An upstream input: what it is by digest, and where to get it.

use anyhow::Result;
use serde::Deserialize;

use crate::inputs::fetch::url;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub version: String,
    pub license: String,
    /// The digest of the container, where all origins have the same.
    pub sha256: Option<String>,
    /// The digest of the unpacked and filtered tree, where the containers differ.
    pub tree_sha256: Option<String>,
    /// Globs of the files to take; all when empty.
    #[serde(default)]
    pub keep: Vec<String>,
    /// The fingerprint of the OpenPGP key that upstream signs its archives with.
    pub signed_by: Option<String>,
    /// Where upstream has that key.
    pub signing_key: Option<String>,
    pub origin: Vec<Origin>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub url: Option<String>,
    pub debian_source: Option<String>,
    pub debian: Option<String>,
    pub npm: Option<String>,
    pub pypi: Option<String>,
    /// What is wanted of PyPI is the package's source, and not what it installs.
    #[serde(default)]
    pub sdist: bool,
    #[serde(rename = "crate")]
    pub crate_name: Option<String>,
    /// The registry's own version of the package, where it differs from the source's.
    pub version: Option<String>,
    /// Debian's suite that has it.
    pub suite: Option<String>,
    /// This origin serves only hosts of this kind, such as `x86_64-linux`.
    pub host: Option<String>,
    /// The digest of this origin's container, where origins differ.
    pub sha256: Option<String>,
    /// The folder within the container that is the tree; otherwise the one top folder, where there is just one.
    pub folder: Option<String>,
    /// The address of upstream's detached signature of this origin's container.
    pub signature: Option<String>,
}

/// A Debian package of the SDK that is put together from registries, or of Nix.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    pub name: String,
    pub version: String,
    pub suite: String,
    pub host: String,
    pub sha256: String,
}

/// Where an origin gets its container from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginKind<'a> {
    Url(&'a str),
    DebianSource { package: &'a str, suite: &'a str },
    Debian { package: &'a str, suite: &'a str },
    Npm(&'a str),
    Pypi(&'a str),
    Crate(&'a str),
}

pub fn check_digest(digest: &str) -> Result<(), String> {
    let valid = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if valid {
        Ok(())
    } else {
        Err(format!("`{digest}` is not a sha256 in lower-case hexadecimal"))
    }
}

impl Source {
    pub fn check(&self) -> Result<(), String> {
        if self.origin.is_empty() {
            return Err("has no origin".into());
        }
        let digests = self
            .sha256
            .iter()
            .chain(&self.tree_sha256)
            .chain(self.origin.iter().flat_map(|origin| &origin.sha256));
        digests
            .map(|digest| check_digest(digest))
            .collect::<Result<Vec<()>, String>>()?;
        if let Some(fingerprint) = &self.signed_by {
            let valid = fingerprint
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
            if !valid || ![40, 64].contains(&fingerprint.len()) {
                return Err(format!(
                    "`{fingerprint}` is not a fingerprint in upper-case hexadecimal"
                ));
            }
        }
        for origin in &self.origin {
            origin.kind()?;
            if origin.signature.is_some() && self.signed_by.is_none() {
                return Err("an origin has a signature, and signed_by names no key".into());
            }
            if self.container_sha256(origin).is_none() {
                return Err(format!(
                    "{} has no sha256 and the source has none either",
                    origin.describe()
                ));
            }
        }
        Ok(())
    }

    /// The digest that the container of this origin must have.
    pub fn container_sha256<'a>(&'a self, origin: &'a Origin) -> Option<&'a str> {
        origin.sha256.as_deref().or(self.sha256.as_deref())
    }

    /// What its archive is called: as upstream calls it.
    pub fn file_name(&self, name: &str) -> String {
        let address = self.origin.iter().find_map(|origin| origin.url.as_deref());
        address
            .and_then(url::file_name)
            .unwrap_or_else(|| format!("{name}-{}", self.version))
    }

    /// The origins that serve this host, in order.
    pub fn origins_for(&self, host: &str) -> impl Iterator<Item = &Origin> {
        self.origin
            .iter()
            .filter(move |origin| origin.host.as_deref().is_none_or(|wanted| wanted == host))
    }
}

impl Origin {
    pub fn kind(&self) -> Result<OriginKind<'_>, String> {
        let suite = self.suite.as_deref();
        let kinds = [
            self.url.as_deref().map(OriginKind::Url),
            self.debian_source.as_deref().map(|package| OriginKind::DebianSource {
                package,
                suite: suite.unwrap_or_default(),
            }),
            self.debian.as_deref().map(|package| OriginKind::Debian {
                package,
                suite: suite.unwrap_or_default(),
            }),
            self.npm.as_deref().map(OriginKind::Npm),
            self.pypi.as_deref().map(OriginKind::Pypi),
            self.crate_name.as_deref().map(OriginKind::Crate),
        ];
        let mut given = kinds.into_iter().flatten();
        let kind = given
            .next()
            .ok_or("an origin needs one of url, debian_source, debian, npm, pypi, crate")?;
        if given.next().is_some() {
            return Err("an origin takes only one of url, debian_source, debian, npm, pypi, crate".into());
        }
        match kind {
            OriginKind::Url(_) => {}
            OriginKind::DebianSource { .. } | OriginKind::Debian { .. } if suite.is_none() => {
                return Err("an origin in Debian needs a suite".into());
            }
            _ if self.version.is_none() => return Err("an origin in a registry needs its version".into()),
            _ => {}
        }
        Ok(kind)
    }

    /// A short name for messages and the record.
    pub fn describe(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        match self.kind() {
            Ok(OriginKind::Url(url)) => url.to_owned(),
            Ok(OriginKind::DebianSource { package, suite }) => format!("Debian source {package} {version} ({suite})"),
            Ok(OriginKind::Debian { package, suite }) => format!("Debian package {package} {version} ({suite})"),
            Ok(OriginKind::Npm(package)) => format!("npm {package}@{version}"),
            Ok(OriginKind::Pypi(package)) => format!("PyPI {package}=={version}"),
            Ok(OriginKind::Crate(name)) => format!("crate {name}@{version}"),
            Err(message) => message,
        }
    }
}

/// What a mirror calls an archive of a source's pinned tree, for sources whose origins have different archives.
pub fn tree_archive(name: &str, source: &Source) -> String {
    format!("{name}-{}.tree.tar", source.version)
}

/// This machine, in the words of the pins: architecture and system.
pub fn host() -> String {
    let system = match std::env::consts::OS {
        "macos" => "macos",
        _ => "linux",
    };
    format!("{}-{system}", std::env::consts::ARCH)
}
