//! Files of web servers that the user allows, read by this process in parts.

mod allowed;
mod fetch;
mod files;
mod parts;
mod whole;

pub use allowed::{Allowed, prefix};
pub use files::Remote;
