//! Packs of small modules, which `cargo xtask pack` makes. It takes the SDK that modules are built with.
#![allow(dead_code, reason = "each test program uses a part of this")]

use afmpeg::{Pack, Runtime, RuntimeBuilder};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A module's file, with a pack and its record beside it.
pub struct Packed {
    folder: TempDir,
}

impl Packed {
    pub fn new(wasm: &[u8]) -> Packed {
        let packed = Packed {
            // Closed to others, as packs must be.
            folder: tempfile::tempdir().expect("a folder can be made"),
        };
        std::fs::write(packed.module(), wasm).expect("the module can be written");
        make(&packed.module());
        packed
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn module(&self) -> PathBuf {
        self.folder.path().join("program.wasm")
    }

    pub fn pack(&self) -> Pack {
        Pack::beside(self.module()).expect("it lies there")
    }
}

/// Makes the pack of a module for this processor, beside it.
pub fn make(module: &Path) {
    // The program itself where somebody has it, which is no older than the sources.
    let mut command = match std::env::var_os("AFMPEG_TEST_XTASK") {
        Some(xtask) => Command::new(xtask),
        None => {
            let mut command = Command::new(env!("CARGO"));
            command.args(["run", "--quiet", "--package", "xtask", "--"]);
            command
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    command.current_dir(root).arg("pack").arg(module);
    let output = command.output().expect("xtask can be started");
    assert!(
        output.status.success(),
        "xtask pack {}: {}",
        module.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A runtime of a module by its pack.
pub fn runtime_of(builder: &RuntimeBuilder, wasm: &[u8]) -> Runtime {
    let packed = Packed::new(wasm);
    let runtime = builder.clone().pack(&packed.pack()).from_file(packed.module());
    runtime.expect("the pack is one of this module")
}
