//! Where media lie: buckets of stores, folders of this machine, and addresses of the web.

mod buckets;
mod reader;
mod target;
mod upload;
mod web;

pub use buckets::Buckets;
pub use reader::{download, open, remove};
pub use target::Target;
