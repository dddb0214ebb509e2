//! The calls, each a method of [`Host`](super::Host).

mod clocks;
mod descriptors;
mod links;
mod listings;
mod open;
mod paths;
mod poll;
mod preopened;
mod process;
mod transfer;
