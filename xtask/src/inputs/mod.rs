//! Upstream inputs: pinned, fetched, verified, unpacked and patched.

pub mod crates;
pub mod fetch;
pub mod node_modules;
#[cfg(feature = "release")]
pub mod openpgp;
pub mod patch;
pub mod pins;
pub mod python_packages;
pub mod source;
pub mod tests;
pub mod unpack;
#[cfg(feature = "release")]
pub mod update;

use anyhow::Result;

use crate::digest::Key;
use crate::lock;

/// What makes a source's tree out of its container and our patches, by the digest of its sources and crates.
pub fn unpacking() -> Result<String> {
    let crates = [
        "ar",
        "bzip2",
        "diffy",
        "flate2",
        "globset",
        "lzma-rust2",
        "tar",
        "walkdir",
        "zip",
    ];
    Ok(Key::new("unpacking")
        .field(include_str!("unpack.rs"))
        .field(include_str!("patch.rs"))
        .field(lock::digest(&crates)?)
        .finish())
}
