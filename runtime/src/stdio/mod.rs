//! The three standard streams of a job.

#[cfg(feature = "tokio")]
mod asynchronous;
mod given;
mod host;
mod reader;
mod stream;
mod tail;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncInput, AsyncOutput};
pub use given::{Stdin, Stdout};
pub(crate) use host::Direction;
pub(crate) use stream::{Readiness, Stream};
pub(crate) use tail::Tails;
