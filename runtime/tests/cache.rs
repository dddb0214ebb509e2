//! Compiled code on disk: found again, shared where that is safe, and never run when others could have written it.
#![cfg(unix)]

mod support;

use afmpeg::{CacheStatus, Error, Job, Preemption, Runtime};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

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

    fn status(&self) -> CacheStatus {
        self.runtime().unwrap().cache_status().clone()
    }

    /// Runs the program although the cache can't be used, and returns why it can't.
    #[track_caller]
    fn unusable(&self) -> String {
        let runtime = self.runtime().unwrap();
        assert_eq!(runtime.run(["program"]).unwrap().exit_code, 42);
        match runtime.cache_status() {
            CacheStatus::Unusable { folder, reason } if *folder == self.path => reason.clone(),
            status => panic!("{status}"),
        }
    }

    /// The only thing in the folder, and when it was written.
    #[track_caller]
    fn entry(&self) -> (PathBuf, SystemTime) {
        let names = names(&self.path);
        assert_eq!(names.len(), 1, "{names:?}");
        let path = self.path.join(&names[0]);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        (path, written)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A module that takes a while to compile.
fn large() -> Vec<u8> {
    let add = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 7)))".repeat(200);
    let functions = format!("(func (local i32) {add})").repeat(1500);
    wat::parse_str(format!("{} {functions})", PROGRAM.trim().strip_suffix(')').unwrap())).unwrap()
}

/// The variables with which a test starts itself as another process, which makes a runtime and prints the outcome of
/// the cache.
const CHILD_FOLDER: &str = "AFMPEG_TEST_CACHE_FOLDER";
const CHILD_MODULE: &str = "AFMPEG_TEST_CACHE_MODULE";

#[test]
#[ignore = "what other tests start as a process of its own"]
fn in_a_child() {
    let variable = |name| std::env::var_os(name).unwrap();
    let builder = Runtime::builder().cache_folder(variable(CHILD_FOLDER));
    let runtime = builder.from_file(variable(CHILD_MODULE)).unwrap();
    assert_eq!(runtime.run(["program"]).unwrap().exit_code, 42);
    println!("status: {:?}", runtime.cache_status());
}

fn child(folder: &Path, module: &Path) -> Command {
    child_of(&std::env::current_exe().unwrap(), folder, module)
}

fn child_of(program: &Path, folder: &Path, module: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--ignored", "--exact", "in_a_child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_MODULE, module)
        .stdout(Stdio::piped());
    command
}

/// Returns the cache status that a child process printed.
#[track_caller]
fn said(child: std::process::Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let (_, status) = text.split_once("status: ").unwrap_or_else(|| panic!("{text}"));
    status.lines().next().unwrap().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_second_start_finds_the_code_of_the_first() {
    let folder = Folder::new();
    folder.run();
    let first = folder.entry();
    folder.run();
    assert_eq!(folder.entry(), first);
    assert_eq!(fs::metadata(&folder.path).unwrap().mode() & 0o777, 0o700);
    fs::remove_file(first.0).unwrap();
    assert_eq!(folder.status(), CacheStatus::Stored);
    assert_eq!(folder.status(), CacheStatus::Hit);
    let off = Runtime::builder().from_bytes(&folder.wasm).unwrap();
    assert_eq!(*off.cache_status(), CacheStatus::Off);
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
    set_mode(&path, 0o666);
    folder.run();
    assert_eq!(fs::metadata(folder.entry().0).unwrap().mode() & 0o777, 0o644);
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
fn code_is_not_taken_where_others_could_have_written_it() {
    let folder = Folder::new();
    folder.run();
    // Other users may read, but not write.
    for mode in [0o755, 0o750, 0o701] {
        set_mode(&folder.path, mode);
        assert_eq!(folder.status(), CacheStatus::Hit, "mode {mode:o}");
    }
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        set_mode(&folder.path, mode);
        assert!(folder.unusable().contains("lets other users write"), "mode {mode:o}");
    }
    set_mode(&folder.path, 0o700);

    // A folder above it, from which others could take it away to put theirs in its place.
    let above = folder.path.parent().unwrap();
    for mode in [0o777, 0o775, 0o757] {
        set_mode(above, mode);
        assert!(folder.unusable().contains("above it"), "mode {mode:o}");
    }
    set_mode(above, 0o1777);
    assert_eq!(folder.status(), CacheStatus::Hit);
    set_mode(above, 0o755);

    let target = above.join("target");
    fs::rename(&folder.path, &target).unwrap();
    symlink(&target, &folder.path).unwrap();
    folder.unusable();
    // A link on the way is followed.
    let way = above.parent().unwrap().join("way");
    symlink(above, &way).unwrap();
    let by_way = Runtime::builder().cache_folder(way.join("target"));
    assert_eq!(
        *by_way.from_bytes(&folder.wasm).unwrap().cache_status(),
        CacheStatus::Hit
    );
}

#[test]
fn a_folder_that_cannot_be_used_is_no_error() {
    let mut folder = Folder::new();
    let above = folder.path.parent().unwrap().to_owned();
    fs::create_dir_all(&above).unwrap();
    fs::write(&folder.path, "a file").unwrap();
    folder.unusable();
    fs::remove_file(&folder.path).unwrap();
    // No root may write to this one either.
    folder.path = "/proc/afmpeg".into();
    folder.unusable();
    folder.path = "/dev/full/aot".into();
    folder.unusable();
}

#[test]
fn what_root_compiled_is_run_by_others_and_what_others_compiled_is_not_run_by_root() {
    let folder = Folder::new();
    folder.run();
    let other = 12345;
    let above = folder.path.parent().unwrap();
    let module = above.join("module.wasm");
    fs::write(&module, &folder.wasm).unwrap();
    if !is_root() {
        // Testable without root: root's own folders are checked, and nothing can be written there.
        let mut folder = folder;
        folder.path = "/usr".into();
        assert!(folder.unusable().contains("cannot be written"));
        return;
    }
    let temporary = above.parent().unwrap();
    for path in [temporary, above, &folder.path] {
        set_mode(path, 0o755);
    }
    // The other user may not have access to the test's own folder.
    let program = temporary.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let child_of_other = |folder: &Path| {
        let mut child = child_of(&program, folder, &module);
        child.uid(other).gid(other).current_dir("/").spawn().unwrap()
    };
    let as_other = || child_of_other(&folder.path);
    assert_eq!(said(as_other()), "Hit");
    let before = folder.entry();
    // The cache has no entry for it, and it cannot write one.
    fs::remove_file(&before.0).unwrap();
    let status = said(as_other());
    assert!(
        status.starts_with("Unusable") && status.contains("cannot be written"),
        "{status}"
    );
    // An entry that it cannot read is left alone.
    folder.run();
    let before = folder.entry();
    set_mode(&before.0, 0o600);
    let status = said(as_other());
    assert!(
        status.starts_with("Unusable") && status.contains("cannot be read"),
        "{status}"
    );
    assert_eq!(folder.entry(), before);

    let theirs = above.join("theirs");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(other), Some(other)).unwrap();
    assert_eq!(said(child_of_other(&theirs)), "Stored");
    let status = said(child(&theirs, &module).spawn().unwrap());
    assert!(status.contains("belongs to user 12345"), "{status}");
    // Folders below one of another user are refused too, whoever owns them.
    let below = theirs.join("below");
    fs::create_dir(&below).unwrap();
    let status = said(child(&below, &module).spawn().unwrap());
    assert!(status.contains("above it") && status.contains("12345"), "{status}");
    // An entry of theirs in a folder that is root's.
    std::os::unix::fs::chown(&folder.entry().0, Some(other), None).unwrap();
    let foreign = folder.entry();
    assert_eq!(folder.status(), CacheStatus::Stored);
    assert_ne!(folder.entry(), foreign);
}

#[test]
fn a_damaged_entry_is_noticed_where_that_is_asked_for() {
    let folder = Folder::new();
    folder.run();
    let (path, _) = folder.entry();
    let whole = fs::read(&path).unwrap();
    let verified = || {
        let builder = Runtime::builder().cache_folder(&folder.path).verify_cached_code(true);
        builder.from_bytes(&folder.wasm).unwrap().cache_status().clone()
    };
    assert_eq!(verified(), CacheStatus::Hit);
    // Each byte counts, in the code as much as in the header.
    for position in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut other = whole.clone();
        other[position] ^= 1;
        fs::write(&path, &other).unwrap();
        assert_eq!(verified(), CacheStatus::Stored, "byte {position}");
        assert!(fs::read(folder.entry().0).unwrap() == whole);
    }
}

#[test]
fn processes_that_start_together_compile_once() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path.parent().unwrap()).unwrap();
    let module = folder.path.parent().unwrap().join("module.wasm");
    fs::write(&module, large()).unwrap();
    let children: Vec<_> = (0..8).map(|_| child(&folder.path, &module).spawn().unwrap()).collect();
    let statuses: Vec<_> = children.into_iter().map(said).collect();
    let count = |status: &str| statuses.iter().filter(|other| *other == status).count();
    assert_eq!((count("Stored"), count("Hit")), (1, 7), "{statuses:?}");
    folder.entry();
}

#[test]
fn what_a_killed_process_leaves_is_used_or_removed() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path.parent().unwrap()).unwrap();
    let module = folder.path.parent().unwrap().join("module.wasm");
    fs::write(&module, large()).unwrap();
    let mut compiles = child(&folder.path, &module).spawn().unwrap();
    let started = Instant::now();
    let unfinished = loop {
        assert!(started.elapsed() < Duration::from_secs(60), "it does not begin");
        let names = fs::read_dir(&folder.path).map_or_else(|_| Vec::new(), |_| names(&folder.path));
        if let Some(name) = names.into_iter().find(|name| name.starts_with("new-")) {
            break folder.path.join(name);
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    // A process with another module removes unfinished entries that nobody works on, and nothing else.
    fs::write(folder.path.join("new-left"), "of a process that was killed").unwrap();
    assert_eq!(folder.status(), CacheStatus::Stored);
    assert!(!folder.path.join("new-left").exists());
    assert!(unfinished.exists(), "the work of a living process was removed");
    compiles.kill().unwrap();
    assert_eq!(compiles.wait().unwrap().signal(), Some(9));
    assert!(unfinished.exists(), "it was not killed in time");

    // Its lock went with it: the next does not wait, and finishes the file under its name.
    let started = Instant::now();
    assert_eq!(said(child(&folder.path, &module).spawn().unwrap()), "Stored");
    assert!(started.elapsed() < Duration::from_secs(100), "{:?}", started.elapsed());
    assert!(names(&folder.path).iter().all(|name| name.ends_with(".cwasm")));
    assert_eq!(said(child(&folder.path, &module).spawn().unwrap()), "Hit");
}
