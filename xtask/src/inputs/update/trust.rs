//! Whether an archive of a new version is upstream's: by its signature, by a digest that was given, or as another
//! origin's that is known to be.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::error::environment;
use crate::inputs::fetch::{Fetcher, File};
use crate::inputs::openpgp;
use crate::inputs::source::{Origin, OriginKind, Source};

/// Why an archive is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustSource {
    /// Upstream's signature.
    Signature,
    /// A digest that was given.
    GivenDigest,
    /// Nothing: it was the first to come.
    FirstUse,
    /// A trusted archive of another origin, which is the same file.
    SameFile,
    /// A trusted archive of another origin, of which the same tree is taken.
    SameTree,
}

impl fmt::Display for TrustSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            TrustSource::Signature => "signed by upstream",
            TrustSource::GivenDigest => "the digest that was given",
            TrustSource::FirstUse => "NOT VERIFIED, trusted on first use",
            TrustSource::SameFile => "the same file",
            TrustSource::SameTree => "the same tree",
        })
    }
}

/// What an origin gave.
#[derive(Debug, Serialize)]
pub struct Archive {
    #[serde(skip)]
    pub path: PathBuf,
    pub sha256: String,
    /// The digest of what is taken from it, where this host can take it.
    pub tree_sha256: Option<String>,
    #[serde(skip)]
    pub is_signed: bool,
}

/// Why each archive is trusted. `is_each_alone` says that no origin is to have what another has: each is for another
/// host.
pub fn trust(
    archives: &[&Archive],
    given: &[String],
    on_first_use: bool,
    is_each_alone: bool,
) -> Vec<Option<TrustSource>> {
    let own = |archive: &&Archive| match archive.is_signed {
        true => Some(TrustSource::Signature),
        false => given.contains(&archive.sha256).then_some(TrustSource::GivenDigest),
    };
    let mut trusted: Vec<Option<TrustSource>> = archives.iter().map(own).collect();
    if on_first_use {
        let is_first = trusted.iter().all(Option::is_none);
        let count = if is_each_alone {
            trusted.len()
        } else {
            usize::from(is_first)
        };
        for source in trusted.iter_mut().take(count) {
            source.get_or_insert(TrustSource::FirstUse);
        }
    }
    let known = trusted.iter().zip(archives).filter(|(source, _)| source.is_some());
    let known: Vec<&Archive> = known.map(|(_, archive)| *archive).collect();
    for (source, one) in trusted.iter_mut().zip(archives).filter(|(source, _)| source.is_none()) {
        let is_same_tree = |other: &&Archive| one.tree_sha256.is_some() && other.tree_sha256 == one.tree_sha256;
        *source = if known.iter().any(|other| other.sha256 == one.sha256) {
            Some(TrustSource::SameFile)
        } else if !is_each_alone && known.iter().any(is_same_tree) {
            Some(TrustSource::SameTree)
        } else {
            None
        };
    }
    trusted
}

/// Upstream, as it signs the archives of a source.
pub struct Upstream<'a> {
    pub fetcher: &'a Fetcher<'a>,
    pub pinned: &'a Source,
    /// A file with its public key, where it can't be fetched.
    pub key: Option<&'a Path>,
}

impl Upstream<'_> {
    /// Marks the archives that upstream has signed. A signature that is of none of them is an error; that there is no
    /// signature or no key is returned.
    pub fn verify(&self, origins: &[Origin], archives: &mut [&mut Archive]) -> Result<Option<String>> {
        let Some(fingerprint) = &self.pinned.signed_by else {
            return Ok(None);
        };
        let signature = self.signature(origins);
        let found = signature.and_then(|signature| Ok((signature, self.public_key(origins)?)));
        let (signature, key) = match found {
            Ok(found) => found,
            Err(error) if self.key.is_some() => return Err(error),
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        let mut refusal = None;
        for archive in archives.iter_mut() {
            let path = &archive.path;
            let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            match openpgp::verify(&key, fingerprint, &signature, &data) {
                Ok(()) => archive.is_signed = true,
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if !archives.iter().any(|archive| archive.is_signed) => {
                Err(error.context("the archive is not what upstream has signed"))
            }
            _ => Ok(None),
        }
    }

    fn signature(&self, origins: &[Origin]) -> Result<Vec<u8>> {
        first(origins, |origin| match &origin.signature {
            Some(address) => Some(self.fetcher.small_file(address)),
            None => self.debian_file(origin, File::Signature),
        })
        .context("the signature")
    }

    fn public_key(&self, origins: &[Origin]) -> Result<Vec<u8>> {
        if let Some(path) = self.key {
            return fs::read(path).with_context(|| environment(format!("cannot read the key {}", path.display())));
        }
        let address = self.pinned.signing_key.as_deref();
        if let Some(Ok(key)) = address.map(|address| self.fetcher.small_file(address)) {
            return Ok(key);
        }
        // Any version's packaging will do: the fingerprint decides. The newest one's may not have reached every server.
        let of_all_versions = |origin: &Origin| {
            let offered = origin
                .kind()
                .ok()
                .and_then(|kind| self.fetcher.debian_versions(kind).ok());
            let origin = origin.clone();
            let versions = offered.unwrap_or_default().into_iter().rev();
            versions.map(move |version| Origin {
                version: Some(version),
                ..origin.clone()
            })
        };
        let packagings: Vec<Origin> = origins.iter().flat_map(of_all_versions).collect();
        first(&packagings, |origin| self.debian_file(origin, File::Packaging)).context("the key")
    }

    fn debian_file(&self, origin: &Origin, wanted: File) -> Option<Result<Vec<u8>>> {
        match (origin.kind(), &origin.version) {
            (Ok(OriginKind::DebianSource { package, suite }), Some(version)) => {
                Some(self.fetcher.debian_file(package, version, suite, wanted))
            }
            _ => None,
        }
    }
}

/// What the first origin gives that has it, or why none has.
fn first(origins: &[Origin], get: impl Fn(&Origin) -> Option<Result<Vec<u8>>>) -> Result<Vec<u8>> {
    let mut reasons = Vec::new();
    for origin in origins {
        match get(origin) {
            Some(Ok(data)) => return Ok(data),
            Some(Err(error)) => reasons.push(format!("{error:#}")),
            None => {}
        }
    }
    bail!("no origin has it; {}", reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_verified_is_trusted() {
        use TrustSource::{FirstUse, GivenDigest, SameFile, SameTree, Signature};
        let archive = |sha256: &str, tree: &str, is_signed: bool| Archive {
            path: PathBuf::new(),
            sha256: sha256.to_owned(),
            tree_sha256: (!tree.is_empty()).then(|| tree.to_owned()),
            is_signed,
        };
        let four = |signed: bool| {
            [
                archive("a", "t", signed),
                archive("b", "t", false),
                archive("a", "t", false),
                archive("c", "u", false),
            ]
        };
        let given = |digest: &str| vec![digest.to_owned()];
        let trust = |archives: &[Archive], given: &[String], on_first_use, is_each_alone| {
            trust(&archives.iter().collect::<Vec<_>>(), given, on_first_use, is_each_alone)
        };
        assert_eq!(trust(&four(false), &[], false, false), vec![None; 4]);
        let same = [Some(SameTree), Some(SameFile), None];
        let signed = trust(&four(true), &[], false, false);
        assert_eq!((&signed[0], &signed[1..]), (&Some(Signature), &same[..]));
        // First use adds nothing to what is verified otherwise.
        assert_eq!(trust(&four(true), &[], true, false), signed);
        let first = trust(&four(false), &[], true, false);
        assert_eq!((&first[0], &first[1..]), (&Some(FirstUse), &same[..]));
        let by_digest = trust(&four(false), &given("c"), true, false);
        assert_eq!(by_digest, [None, None, None, Some(GivenDigest)]);
        // Trees that this host cannot take are not the same for that.
        let foreign = [archive("a", "", true), archive("b", "", false)];
        assert_eq!(trust(&foreign, &[], false, false), [Some(Signature), None]);
        // Archives for several hosts have nothing to do with each other.
        assert_eq!(trust(&foreign, &[], true, true), [Some(Signature), Some(FirstUse)]);
        assert_eq!(
            trust(&four(false), &given("b"), false, true),
            [None, Some(GivenDigest), None, None]
        );
    }
}
