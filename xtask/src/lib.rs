//! The build tool, as a library: the crate `lab`, which measures and tests modules, is made of it, too.

#![warn(clippy::unwrap_used)]

pub mod blocks;
pub mod build;
pub mod cache;
pub mod clients;
pub mod data;
pub mod digest;
#[cfg(feature = "release")]
pub mod dist;
pub mod error;
pub mod flags;
pub mod inputs;
pub mod lock;
pub mod pass_on;
pub mod plan;
pub mod process;
pub mod progress;
pub mod project;
pub mod recipe;
pub mod translate;
pub mod verb;
pub mod wasm;
