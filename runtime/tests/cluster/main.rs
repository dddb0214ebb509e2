//! The verbs of the queue against real servers: nats-server with its store, and an S3 server, each a process of its own.

#![cfg(target_os = "linux")]

mod accounts;
#[path = "../support/certificates.rs"]
mod certificates;
mod chaos;
mod deploy;
#[path = "../support/engine.rs"]
mod engine;
mod house;
#[path = "../support/inputs.rs"]
mod inputs;
mod jobs;
mod languages;
mod losses;
mod many;
mod namespaces;
mod parallel;
mod proxy;
mod refusals;
mod servers;
mod stores;
mod trust;
