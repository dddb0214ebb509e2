//! Releases of afmpeg's modules: found by name in a folder, on a web server or in an OCI registry, and verified before
//! use.
//!
//! Each pull verifies, in this order: the signature of the sums by the caller's key, the version that the signature
//! names, the sums of the files, and the module's record against its bytes. Only then is a module stored in the cache,
//! under its digest.

mod error;
mod http;
mod location;
pub mod oci;
mod pull;
mod sums;

pub use error::Error;
pub use http::{Http, Redirects, agent, from_byte};
pub use location::Location;
pub use pull::{Module, Pack, Pull};
pub use sums::{PublicKey, Reference, SIGNATURE, SUMS, parse_key, sha256, trusted_comment, verify};
