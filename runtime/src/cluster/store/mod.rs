//! Where media lie: buckets of stores, folders of this machine, and addresses of the web.

mod buckets;
mod disk;
mod reader;
mod target;
mod upload;
mod web;

pub use buckets::Buckets;
pub use disk::on_disk;
pub use reader::{download, exists, open, remove};
pub use target::{Target, nothing};
