//! Releases of afmpeg's modules: found by name in a folder, on a web server or in an OCI registry, and verified before
//! anybody gets to use them.
//!
//! The order is that of trust: the signature of the sums by a key that the caller has, the version that the signature
//! speaks of, the sums of the files, the module's record against its bytes. Only then does a module lie in the cache, under
//! its digest.

mod error;
mod http;
mod location;
pub mod oci;
mod pull;
mod sums;

pub use error::Error;
pub use http::{Http, Redirects};
pub use location::Location;
pub use pull::{Module, Pull};
pub use sums::{PublicKey, Reference, SIGNATURE, SUMS, parse_key, sha256, trusted_comment, verify};
