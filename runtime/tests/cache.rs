//! Compiled code on disk: found again, and never trusted when it should not be.

mod support;

use afmpeg::{Error, Job, Preemption, Runtime};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

const PROGRAM: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 42))))"#;

struct Folder {
    _temporary: tempfile::TempDir,
    path: PathBuf,
    wasm: Vec<u8>,
}

impl Folder {
    fn new() -> Folder {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("deep/aot");
        Folder {
            _temporary: temporary,
            path,
            wasm: wat::parse_str(PROGRAM).unwrap(),
        }
    }

    fn runtime(&self) -> Result<Runtime, Error> {
        Runtime::builder().cache_folder(&self.path).from_bytes(&self.wasm)
    }

    fn run(&self) {
        assert_eq!(self.runtime().unwrap().run(["program"]).unwrap().exit_code, 42);
    }

    /// The only entry, and when it was written.
    fn entry(&self) -> (PathBuf, std::time::SystemTime) {
        let entries: Vec<_> = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        (entries[0].path(), entries[0].metadata().unwrap().modified().unwrap())
    }
}

#[test]
fn a_second_start_finds_the_code_of_the_first() {
    let folder = Folder::new();
    folder.run();
    let first = folder.entry();
    folder.run();
    assert_eq!(folder.entry(), first);
    assert_eq!(fs::metadata(&folder.path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn compressed_modules_run_and_are_found_again() {
    let mut folder = Folder::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&folder.wasm).unwrap();
    let gzip = gzip.finish().unwrap();
    folder.wasm = gzip.clone();
    folder.run();
    let first = folder.entry();
    folder.run();
    assert_eq!(folder.entry(), first);

    for cut in [gzip.len() / 2, gzip.len() - 1] {
        assert!(matches!(
            Runtime::from_bytes(&gzip[..cut]),
            Err(Error::ModuleCompression { .. })
        ));
    }
}

#[test]
fn an_entry_that_is_cut_short_or_foreign_is_made_anew() {
    let folder = Folder::new();
    folder.run();
    let (path, _) = folder.entry();
    let whole = fs::read(&path).unwrap();

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    folder.run();
    assert_eq!(fs::read(folder.entry().0).unwrap(), whole);

    // As long as it should be, but not compiled code.
    fs::write(&path, vec![1; whole.len()]).unwrap();
    folder.run();
    assert_eq!(fs::read(folder.entry().0).unwrap(), whole);

    // Code of an engine with another version, for another architecture, and for a processor with another feature.
    let architecture = std::env::consts::ARCH.as_bytes();
    for part in [&b"\x0248"[..], architecture, b"has_"] {
        let position = whole.windows(part.len()).position(|bytes| bytes == part);
        let position = position.unwrap_or_else(|| panic!("no {} in it", part.escape_ascii()));
        let mut other = whole.clone();
        other[position + part.len() - 1] ^= 1;
        fs::write(&path, &other).unwrap();
        folder.run();
        assert!(
            fs::read(folder.entry().0).unwrap() == whole,
            "{} was not noticed",
            part.escape_ascii()
        );
    }

    // A link in its place, and a file that others could have written.
    let elsewhere = folder.path.parent().unwrap().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    folder.run();
    assert!(!folder.entry().0.is_symlink());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    folder.run();
    assert_eq!(
        fs::metadata(folder.entry().0).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn each_way_to_stop_programs_has_code_of_its_own() {
    let folder = Folder::new();
    for (preemption, entries) in [
        (Preemption::Signals, 1),
        (Preemption::Epochs, 2),
        (Preemption::Signals, 2),
    ] {
        let builder = Runtime::builder().cache_folder(&folder.path).preemption(preemption);
        let job = Job::new(["program"]).timeout(Duration::from_secs(100));
        assert_eq!(
            builder.from_bytes(&folder.wasm).unwrap().run(job).unwrap().exit_code,
            42
        );
        assert_eq!(fs::read_dir(&folder.path).unwrap().count(), entries);
    }
}

#[test]
fn a_folder_that_others_can_enter_is_refused() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.path).unwrap();
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(folder.runtime(), Err(Error::CacheUnsafe { .. })),
            "mode {mode:o}"
        );
    }
    fs::remove_dir(&folder.path).unwrap();
    let target = folder.path.parent().unwrap().join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&target, &folder.path).unwrap();
    assert!(matches!(folder.runtime(), Err(Error::Cache { .. })));
}
