pub mod build;
pub mod fetch;
