//! Why a pack is refused.

use std::io;
use std::path::PathBuf;

/// Why a pack is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    #[error("there is none for this machine ({machines}): build it with `cargo xtask build --pack`, or use wasmtime")]
    Missing { machines: String },

    #[error("it has no record {}: build it again, or copy the record with it", .record.display())]
    NoRecord { record: PathBuf },

    #[error("its record {} cannot be read: build it again", .record.display())]
    RecordUnreadable {
        record: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    #[error("its file cannot be read")]
    Unreadable { source: io::Error },

    /// Somebody else could have written it.
    #[error("others could have changed it: {reason}; copy it to a folder that only this user or root can write to")]
    Distrusted { reason: String },

    #[error(
        "its bytes are not those of its record: its SHA-256 is {found}, and {expected} there; build or get it again"
    )]
    Digest { expected: String, found: String },

    #[error("it was made from another module, whose SHA-256 is {of}, and this one's is {module}: build it again")]
    OtherModule { of: String, module: String },

    #[error("it is for {machine}, and this is {here}: build one with `--pack {here}`")]
    Machine { machine: String, here: String },

    #[error(
        "it is for {machine}, and this processor has no {missing}: build one for an older machine, or use wasmtime"
    )]
    Processor { machine: String, missing: String },

    #[error("it has version {found} of the interface, and this runtime has {expected}: build it again")]
    Abi { found: u32, expected: u32 },

    #[error("it imports {import}, which is none of the host's functions: build it again")]
    Import { import: String },

    #[error("it cannot be loaded: {reason}")]
    Load { reason: String },

    #[error("it can be stopped by signals alone, and epochs are asked for: use signals, or wasmtime")]
    Epochs,

    #[error("packs run on Linux, on x86-64 and AArch64: use wasmtime")]
    System,
}
