//! Feeding: one job decodes and filters a video, and hands its frames to several that encode them.
//!
//! It is for what cannot be cut by seeking: filters that remember what is long past, graphs, inputs without an index. [`command`] reads
//! the words of a command, [`plan()`] decides how it is fed, [`nut`] and [`said`] read what the feeder writes and says, and [`queue`]
//! has the frames between it and the encoders.

mod command;
mod graph;
mod nut;
mod plan;
mod queue;
mod said;

pub use command::Command;
pub use nut::NO_VIDEO;
pub use plan::{Module, encoder, plan, probe_args};
pub use queue::{Feeder, Feeding, Log};
