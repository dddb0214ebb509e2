//! Names of releases, their sums, and whose signature is on them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::Signature;
use sha2::{Digest, Sha256};

use crate::Error;

/// The file with the digest of every other one, in the format of `sha256sum`.
pub const SUMS: &str = "SHA256SUMS";
/// Its signature, in minisign's format.
pub const SIGNATURE: &str = "SHA256SUMS.minisig";

/// A module of a release, such as `o3-gpl@9.0.2-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    pub version: String,
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference, Error> {
        // Both become parts of paths and addresses.
        let plain = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        text.split_once('@')
            .filter(|(name, version)| plain(name) && plain(version))
            .map(|(name, version)| Reference {
                name: name.to_owned(),
                version: version.to_owned(),
            })
            .ok_or_else(|| Error::Reference { text: text.to_owned() })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

/// Returns the comment that a release's signature covers. It names the version, so that an old release with a valid
/// signature cannot pass for a new one.
pub fn trusted_comment(version: &str) -> String {
    format!("afmpeg {version}")
}

/// The key that a publisher's releases are verified with.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    fingerprint: String,
}

impl PublicKey {
    /// Returns a name for this key, of letters and digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// A public key: the line of it, or the text of the file that minisign writes.
pub fn parse_key(text: &str) -> Result<PublicKey, Error> {
    let parse = |line: &str| {
        Some(PublicKey {
            key: minisign_verify::PublicKey::from_base64(line).ok()?,
            fingerprint: sha256(&BASE64_STANDARD.decode(line).ok()?)[..32].to_owned(),
        })
    };
    text.lines().find_map(|line| parse(line.trim())).ok_or(Error::Key)
}

/// Returns the digests of a release's files, if this key signed them for this version.
pub fn verify(
    place: &str,
    sums: &[u8],
    signature: &[u8],
    key: &PublicKey,
    version: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let refused = || Error::Signature {
        place: place.to_owned(),
    };
    let text = std::str::from_utf8(signature).map_err(|_| refused())?;
    let signature = Signature::decode(text).map_err(|_| refused())?;
    key.key.verify(sums, &signature, false).map_err(|_| refused())?;
    let wanted = trusted_comment(version);
    if signature.trusted_comment() != wanted {
        return Err(Error::Version {
            place: place.to_owned(),
            signed: signature.trusted_comment().to_owned(),
            wanted,
        });
    }
    let unreadable = |line: &str| Error::Sums {
        place: place.to_owned(),
        line: line.to_owned(),
    };
    let text = std::str::from_utf8(sums).map_err(|_| unreadable("not UTF-8"))?;
    text.lines()
        .map(|line| match line.split_once("  ") {
            Some((digest, name)) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok((name.to_owned(), digest.to_owned()))
            }
            _ => Err(unreadable(line)),
        })
        .collect()
}

/// A sha256 in hexadecimal.
pub fn sha256(data: &[u8]) -> String {
    hexadecimal(&Sha256::digest(data))
}

pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
