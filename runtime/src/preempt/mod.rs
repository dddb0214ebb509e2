//! Stopping a program that computes and makes no call.

mod preemption;
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    path = "unsupported.rs"
)]
mod signals;

pub use preemption::Preemption;
pub(crate) use signals::{CodeMap, Thread, accept_signals};
