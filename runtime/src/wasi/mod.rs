//! WASI preview 1, independent of the engine: every call is a function over the guest's memory and the job's state.
//!
//! Pointers, lengths, descriptors, flags and paths come from a guest that may be hostile. What is wrong with them is
//! an [`Errno`] for the guest, never a panic.

mod abi;
mod account;
#[cfg(unix)]
mod ahead;
mod calls;
mod clock;
mod descriptors;
mod host;
mod listing;
mod memory;
mod path;
mod stat;

pub use abi::{Errno, Failure};
pub use clock::{Clock, cpu_time_of_this_thread};
pub use host::{Host, Setup};
pub use memory::GuestMemory;
