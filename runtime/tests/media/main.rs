//! The real module, through the real command, on real video. What comes out is measured: its pixels, samples, packets
//! and what ffprobe says of it. That a program ended well says nothing about its work.
//!
//! The module is that of artifacts/, the video that which `cargo xtask fetch --all` leaves there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/certificates.rs"]
mod certificates;
mod clients;
mod copies;
#[path = "../support/count.rs"]
mod count;
mod descriptors;
#[path = "../support/engine.rs"]
mod engine;
mod failures;
mod fate;
mod fixture;
mod graphs;
mod hostile;
#[path = "../support/inputs.rs"]
mod inputs;
mod lettering;
mod library;
mod live;
mod measure;
mod names;
mod parallel;
mod pictures;
mod pipes;
mod remote;
mod scheduling;
mod shims;
mod shown;
mod signals;
mod sound;
mod text;
mod transcode;
mod verbs;
