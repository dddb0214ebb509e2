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
