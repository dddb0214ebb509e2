//! The choice of an engine, and its outcome.

use std::fmt;
use std::path::PathBuf;

/// What runs a module: wasmtime, which compiles it, or a pack, which is the module as native code that was made before.
///
/// A pack is faster, and starts without a compiler; it is made by `cargo xtask build --pack`, for one kind of machine.
/// It is native code of this process: see [`Pack`](crate::Pack) for what is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// The pack that lies beside the module's file, or wasmtime if there is none that this machine runs or if it cannot
    /// be used; [`Runtime::engine_status`](crate::Runtime::engine_status) has the reason.
    ///
    /// Whoever may write to the module's folder then chooses native code, where before it was a program in a sandbox.
    /// So it is not the default.
    Auto,
    /// wasmtime. The default, if the crate has the feature `compiler`.
    Wasmtime,
    /// A pack: the one given to the builder, or the one beside the module's file. The default without the feature
    /// `compiler`.
    Pack,
}

impl Default for Engine {
    fn default() -> Engine {
        if cfg!(feature = "compiler") {
            Engine::Wasmtime
        } else {
            Engine::Pack
        }
    }
}

/// What runs the programs of a [`Runtime`](crate::Runtime).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineStatus {
    /// wasmtime.
    Wasmtime,
    /// wasmtime, since the pack beside the module cannot be used.
    PackRefused { reason: String },
    /// A pack for such a machine.
    Pack { path: PathBuf, machine: String },
}

impl fmt::Display for EngineStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            EngineStatus::Wasmtime => formatter.write_str("wasmtime"),
            EngineStatus::PackRefused { reason } => write!(formatter, "wasmtime, since {reason}"),
            EngineStatus::Pack { path, machine } => write!(formatter, "pack for {machine}, {}", path.display()),
        }
    }
}
