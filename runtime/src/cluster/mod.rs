//! Jobs on many machines: a queue on NATS JetStream, workers that take jobs from it, media in object stores.
//!
//! [`Cluster`] submits jobs, [`Worker`] does them within a [`Policy`]. A job is delivered at least once, and has one result: what
//! counts is its state in a key-value bucket, which only its holder can change, and an output gets its name after the holder has
//! confirmed that it still is. docs/cluster.md describes the messages.

mod attempt;
mod cancel;
mod client;
mod connect;
mod error;
mod fault;
mod files;
mod full;
mod health;
mod lease;
mod message;
mod metrics;
mod modules;
#[allow(dead_code, reason = "the command counts what is kept")]
#[path = "../remote/parts.rs"]
mod parts;
mod policy;
mod queue;
mod redact;
mod refusals;
mod running;
mod segments;
mod slots;
mod spool;
mod state;
mod store;
mod worker;

pub use client::{Cluster, Submitted};
pub use connect::Connection;
pub use error::Error;
pub use message::{Event, JobMessage, Key, Limits, Outcome, Program, Reached, Status, VERSION};
pub use modules::Modules;
pub use policy::{NamedModule, Policy, Prefix};
pub use worker::Worker;
