//! Stopping a program that computes and makes no call.

#[cfg(all(
    feature = "compiler",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod code_map;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod landing;
mod preemption;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod registers;
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    path = "unsupported.rs"
)]
mod signals;

pub use preemption::Preemption;
#[cfg(feature = "compiler")]
pub(crate) use signals::CodeMap;
#[cfg(any(
    feature = "compiler",
    all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))
))]
pub(crate) use signals::handle_stops;
pub(crate) use signals::{Code, Thread, accept_signals};
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use {landing::Landing, signals::handle_traps};
