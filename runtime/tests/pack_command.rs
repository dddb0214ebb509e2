//! The command with the pack beside a module: each of its processes loads it anew, from the cache if it can.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

#[path = "support/packs.rs"]
mod packs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Exits with the number of its arguments.
const COUNT: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (call $exit (i32.load (i32.const 0)))))"#;

/// A module with its pack, and a cache.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(place.module(), wat::parse_str(COUNT).unwrap()).unwrap();
        packs::make(&place.module());
        place
    }

    fn module(&self) -> PathBuf {
        self.folder.path().join("count.wasm")
    }

    fn pack(&self) -> PathBuf {
        afmpeg::Pack::beside(self.module()).unwrap().path().to_owned()
    }

    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afmpeg"));
        command.current_dir(self.folder.path()).args(["--module", "count.wasm"]);
        command.args(options).args(["ffmpeg", "A"]).output().unwrap()
    }

    fn cached(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("cache")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
}

#[test]
fn the_pack_beside_the_module_is_taken() {
    let place = Place::new();
    let run = |engine| place.run(&["--no-cache", "--engine", engine]);
    for engine in ["auto", "pack", "wasmtime"] {
        let output = run(engine);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), ""), "{engine}");
    }
    // A module that was built anew has an old pack.
    let mut wasm = fs::read(place.module()).unwrap();
    wasm.extend([0, 2, 1, b'n']);
    fs::write(place.module(), wasm).unwrap();
    let output = run("auto");
    let warning = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{warning}");
    assert!(
        warning.starts_with("afmpeg: warning: ") && warning.contains("another module"),
        "{warning}"
    );
    assert_eq!(run("pack").status.code(), Some(4));
    assert_eq!(text(&run("wasmtime").stderr), "");
}

#[test]
fn what_was_verified_is_kept_for_the_next_process() {
    let place = Place::new();
    let run = || place.run(&["--cache-dir", "cache", "--engine", "pack"]);
    let works = || {
        let output = run();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), ""));
    };
    works();
    let kept = place.cached();
    assert!(matches!(&kept[..], [copy] if is_pack(copy)), "{kept:?}");
    assert_eq!(fs::read(&kept[0]).unwrap(), fs::read(place.pack()).unwrap());
    // The pack itself is not read again, so that it may even be gone; its record is.
    let whole = fs::read(place.pack()).unwrap();
    fs::write(place.pack(), b"naught").unwrap();
    works();
    // A copy that was cut short is no good, and is replaced by what has the record's digest alone.
    fs::write(&kept[0], &whole[..whole.len() / 2]).unwrap();
    let refused = run();
    assert_eq!(refused.status.code(), Some(4));
    assert!(text(&refused.stderr).contains("SHA-256"), "{}", text(&refused.stderr));
    fs::write(place.pack(), &whole).unwrap();
    works();
    assert_eq!(place.cached(), kept);
    // Another module has no copy of it, nor is one made.
    let mut wasm = fs::read(place.module()).unwrap();
    wasm.extend([0, 2, 1, b'n']);
    fs::write(place.module(), wasm).unwrap();
    let refused = run();
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        text(&refused.stderr).contains("another module"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(place.cached(), kept);
    // Who else could have written the copy is not believed.
    let mut permissions = fs::metadata(&kept[0]).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o666);
    fs::set_permissions(&kept[0], permissions).unwrap();
    wasm = wat::parse_str(COUNT).unwrap();
    fs::write(place.module(), wasm).unwrap();
    fs::write(&kept[0], b"hostile").unwrap();
    works();
    assert_eq!(fs::read(&kept[0]).unwrap(), whole);
}
