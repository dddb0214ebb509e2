//! Each limit, reached by a guest that wants more: its name, its figures, and what remains afterwards.

#![cfg(unix)]

mod support;

use afmpeg::fs::{DirEntry, Exceeded, File, FileType, Metadata, OpenOptions, Opened};
use afmpeg::{Error, FileSystem, HostDir, Job, Limit, MemoryFs, OverlayFs, Runtime, Stdout, WriteAt};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::{SCRATCH, Script, number, runtime};

const CREATE: u64 = 1;
const TRUNCATE: u64 = 8;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const APPEND: u64 = 1;

const SUCCESS: u64 = 0;
const BADF: u64 = 8;
const BUSY: u64 = 10;
const DQUOT: u64 = 19;
const IO: u64 = 29;
const MFILE: u64 = 33;
const NOSPC: u64 = 51;
const PERM: u64 = 63;
const ROFS: u64 = 69;
const XDEV: u64 = 75;

/// Returns the limit, and its figures, that the caller gets of a guest that fails after a refusal.
fn reached(script: &Script, job: impl FnOnce(Job) -> Job) -> (Limit, u64, u64) {
    match script.run_and_fail(job) {
        Err(Error::Limit {
            limit, allowed, wanted, ..
        }) => (limit, allowed, wanted),
        other => panic!("{other:?}"),
    }
}

fn errors(answers: &[Vec<u8>]) -> Vec<u64> {
    answers.iter().map(|answer| number(answer)).collect()
}

/// Calls with one or two paths.
fn with_path(script: &mut Script, function: &str, path: &str) {
    script.store(SCRATCH, path.as_bytes());
    script.call(function, &[3, SCRATCH.into(), path.len() as u64]);
}

fn rename(script: &mut Script, from: &str, to: &str) {
    script
        .store(SCRATCH, from.as_bytes())
        .store(SCRATCH + 0x1000, to.as_bytes());
    let (from_length, to_length) = (from.len() as u64, to.len() as u64);
    let arguments = [3, SCRATCH.into(), from_length, 3, (SCRATCH + 0x1000).into(), to_length];
    script.call("path_rename", &arguments);
}

fn link(script: &mut Script, function: &str, from: &str, to: &str) {
    script
        .store(SCRATCH, from.as_bytes())
        .store(SCRATCH + 0x1000, to.as_bytes());
    let (from_length, to_length) = (from.len() as u64, to.len() as u64);
    let (from, to) = (u64::from(SCRATCH), u64::from(SCRATCH) + 0x1000);
    match function {
        "path_symlink" => script.call(function, &[from, from_length, 3, to, to_length]),
        _ => script.call(function, &[3, 0, from, from_length, 3, to, to_length]),
    };
}

#[test]
fn each_limit_is_named_with_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Arc::new(HostDir::read_write(folder.path()).unwrap());
    fs::write(folder.path().join("a"), "0123456789").unwrap();

    let mut script = Script::default();
    script.open("a", 0, READ, 0).open("a", 0, READ, 0);
    let open_files = reached(&script, |job| job.file_system(".", dir.clone()).open_files_max(6));
    assert_eq!(open_files, (Limit::OpenFiles, 6, 7));

    // Growing by any means counts: by writing, by setting the size, by writing beyond the end.
    for (calls, wanted) in [("write", 1010), ("size", 1001), ("beyond", 1001)] {
        let mut script = Script::default();
        script.open("new", CREATE | TRUNCATE, READ | WRITE, 0);
        match calls {
            "write" => script.write(5, &[1; 500]).write(5, &[1; 510]),
            "size" => script
                .call("fd_filestat_set_size", &[5, 1000])
                .call("fd_filestat_set_size", &[5, 1001]),
            _ => script
                .call("fd_seek", &[5, 1000, 0, u64::from(SCRATCH) + 64])
                .write(5, b"x"),
        };
        // Its answers go to the standard output, which counts as well.
        let written = reached(&script, |job| {
            job.file_system(".", dir.clone())
                .stdout(Stdout::Discard)
                .written_max_bytes(1000)
        });
        assert_eq!((written.0, written.1), (Limit::Written, 1000), "{calls}");
        assert!((wanted..wanted + 100).contains(&written.2), "{calls}: {written:?}");
        assert!(
            fs::metadata(folder.path().join("new")).unwrap().len() <= 1000,
            "{calls}"
        );
    }

    // By a stream that is a file, too.
    let stream = tempfile::tempfile().unwrap();
    let mut script = Script::default();
    script
        .call("fd_seek", &[2, 1000, 0, u64::from(SCRATCH) + 64])
        .write(2, b"x");
    let written = reached(&script, |job| {
        let job = job.stdout(Stdout::Discard).written_max_bytes(1000);
        job.stderr(Stdout::File(stream.try_clone().unwrap()))
    });
    assert_eq!((written.0, written.1), (Limit::Written, 1000));
    assert!((1001..1100).contains(&written.2), "{written:?}");
    assert_eq!(stream.metadata().unwrap().len(), 0);

    let mut script = Script::default();
    with_path(&mut script, "path_create_directory", "directory");
    script.open("one", CREATE, WRITE, 0).open("one", CREATE, WRITE, 0);
    with_path(&mut script, "path_create_directory", "two");
    script.open("three", CREATE, WRITE, 0);
    let names = reached(&script, |job| job.file_system(".", dir.clone()).names_max(2));
    assert_eq!(names, (Limit::Names, 2, 3));
    assert!(!folder.path().join("two").exists() && !folder.path().join("three").exists());

    let memory = MemoryFs::new(1000);
    let mut script = Script::default();
    script.open("file", CREATE, WRITE, 0).write(5, &[1; 1001]);
    let room = reached(&script, |job| job.file_system(".", Arc::new(memory.clone())));
    assert_eq!(room, (Limit::FileSystem, 1000, 1001));

    let error = script
        .run_and_fail(|job| job.file_system(".", Arc::new(memory.clone())))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the job reached its limit: the room in a file system is 1000, and it wanted 1001"
    );

    // All jobs of a runtime together.
    let small = Runtime::builder()
        .open_files_max(3)
        .from_bytes(&support::interpreter())
        .unwrap();
    let mut script = Script::default();
    for _ in 0..4 {
        script.open("a", 0, READ, 0);
    }
    script.open(".", 2, READ, 0);
    let answers = script.answers_of(&small, |job| job.file_system(".", dir.clone()));
    assert_eq!(errors(&answers), [SUCCESS, SUCCESS, SUCCESS, MFILE, MFILE]);
    // They are given back.
    assert_eq!(
        errors(&script.answers_of(&small, |job| job.file_system(".", dir.clone()))),
        [SUCCESS, SUCCESS, SUCCESS, MFILE, MFILE]
    );
}

/// What a job answers to this crate is not written for the caller, and all that it writes to files is.
#[test]
fn a_description_does_not_count_as_written_and_files_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Arc::new(HostDir::read_write(folder.path()).unwrap());
    let mut script = Script::default();
    script.open("new", CREATE | TRUNCATE, WRITE, 0).write(5, &[1; 1001]);
    let described = |runtime: &Runtime, stdin: &[u8]| {
        let job = Job::probe("in").stdin(stdin.to_vec());
        runtime.probe(job.file_system(".", dir.clone()).written_max_bytes(1000))
    };
    let interpreter = support::runtime_of(&Runtime::builder(), &support::interpreter());
    // Its answers are no description.
    described(&interpreter, script.input()).unwrap_err();
    assert_eq!(fs::metadata(folder.path().join("new")).unwrap().len(), 0);
    let json = format!(r#"{{"format":{{"format_name":"{}"}}}}"#, "x".repeat(2000));
    let probe = described(&runtime(support::COPIER), json.as_bytes()).unwrap();
    assert_eq!(probe.format.format_name.len(), 2000);
}

#[test]
fn what_finds_no_descriptor_is_neither_made_nor_cut() {
    let memory = MemoryFs::new(1000);
    memory.add_file("full", "content").unwrap();
    let mut script = Script::default();
    script.open("full", TRUNCATE, WRITE, 0).open("new", CREATE, WRITE, 0);
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())).open_files_max(5));
    assert_eq!(errors(&answers), [MFILE, MFILE]);
    assert_eq!(memory.files(), [("full".to_owned(), 7)]);
}

/// A file system on a machine that has run out of something, and one that has a limit of its own.
struct Exhausted(fn() -> io::Error);

impl FileSystem for Exhausted {
    fn open(&self, _: &str, _: &OpenOptions) -> io::Result<Opened> {
        Err(self.0())
    }

    fn metadata(&self, _: &str, _: bool) -> io::Result<Metadata> {
        Ok(Metadata::new(FileType::Directory, 0, 1))
    }

    fn read_dir(&self, _: &str) -> io::Result<Vec<DirEntry>> {
        Ok(Vec::new())
    }
}

#[test]
fn what_the_machine_lacks_is_not_the_jobs_limit() {
    let cases: [(fn() -> io::Error, u64); 4] = [
        (|| io::Error::from_raw_os_error(libc::EMFILE), MFILE),
        (|| io::Error::from_raw_os_error(libc::ENFILE), MFILE),
        (|| io::Error::from_raw_os_error(libc::ENOSPC), NOSPC),
        (|| io::Error::from_raw_os_error(libc::EDQUOT), DQUOT),
    ];
    let mut script = Script::default();
    script.open("a", 0, READ, 0);
    for (error, errno) in cases {
        let result = script.run_and_fail(|job| job.file_system(".", Arc::new(Exhausted(error))));
        assert!(matches!(result, Err(Error::Trap(_))), "{result:?}");
        let answers = script.answers(|job| job.file_system(".", Arc::new(Exhausted(error))));
        assert_eq!(errors(&answers), [errno]);
    }
    let own = || Exceeded::new(Limit::FileSystem, 7, 8).into();
    let limit = reached(&script, |job| job.file_system(".", Arc::new(Exhausted(own))));
    assert_eq!(limit, (Limit::FileSystem, 7, 8));
}

#[test]
fn what_is_read_only_keeps_its_times_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "content").unwrap();
    let before = fs::metadata(&path).unwrap();
    let dir = Arc::new(HostDir::read_only(folder.path()).unwrap());
    let upper = MemoryFs::new(1 << 20);
    let overlay = Arc::new(OverlayFs::new(
        Arc::new(HostDir::read_write(folder.path()).unwrap()),
        Arc::new(upper.clone()),
    ));
    let mut script = Script::default();
    script.open("a", 0, READ, 0);
    script
        .call("fd_filestat_set_times", &[5, 1_000_000_000, 1_000_000_000, 5])
        .call("fd_filestat_set_size", &[5, 1])
        .write(5, b"x")
        .call("fd_sync", &[5])
        .call("fd_filestat_set_times", &[3, 1_000_000_000, 1_000_000_000, 5]);
    let of_folder = fs::metadata(folder.path()).unwrap();
    for (file_system, directory) in [(dir as Arc<dyn FileSystem>, ROFS), (overlay, SUCCESS)] {
        let answers = script.answers(|job| job.file_system(".", file_system.clone()));
        assert_eq!(errors(&answers)[1..], [BADF, 28, BADF, SUCCESS, directory]);
    }
    // By the interface too, for a file that was opened in the lower tree.
    let overlay = OverlayFs::new(Arc::new(HostDir::read_write(folder.path()).unwrap()), Arc::new(upper));
    let mut options = OpenOptions::default();
    options.read = true;
    let Opened::File(mut file) = overlay.open("a", &options).unwrap() else {
        panic!("a file")
    };
    assert!(file.set_times(afmpeg::fs::Times::default()).is_err());
    assert!(file.set_len(1).is_err() && file.write_at(b"x", 0).is_err());
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.mtime(), after.atime(), after.len()),
        (before.mtime(), before.atime(), 7)
    );
    assert_eq!(
        fs::metadata(folder.path()).unwrap().mtime_nsec(),
        of_folder.mtime_nsec()
    );
}

#[test]
fn nothing_that_a_guest_leaves_behind_leads_out() {
    let around = tempfile::tempdir().unwrap();
    let inside = around.path().join("inside");
    fs::create_dir_all(inside.join("sub/deep")).unwrap();
    fs::write(around.path().join("secret"), "secret").unwrap();
    fs::write(inside.join("a"), "inside").unwrap();
    // The owner's, which lead to `a` as long as they stay where they are.
    symlink("../../a", inside.join("sub/deep/owners")).unwrap();
    let calls = |script: &mut Script| {
        link(script, "path_symlink", "../secret", "out");
        link(script, "path_symlink", "sub/../../secret", "sub/winding");
        link(script, "path_symlink", "a", "fine");
        link(script, "path_link", "a", "hard");
        link(script, "path_link", "sub/deep/owners", "moved");
        rename(script, "sub/deep/owners", "moved");
        rename(script, "sub/deep", "deep");
    };
    let mut script = Script::default();
    calls(&mut script);
    let dir = Arc::new(HostDir::read_write(&inside).unwrap());
    let answers = errors(&script.answers(|job| job.file_system(".", dir.clone())));
    assert_eq!(answers, [PERM, PERM, PERM, PERM, PERM, XDEV, XDEV]);
    let dir = Arc::new(HostDir::read_write(&inside).unwrap().allow_links());
    let answers = errors(&script.answers(|job| job.file_system(".", dir.clone())));
    assert_eq!(answers, [PERM, PERM, SUCCESS, SUCCESS, PERM, XDEV, XDEV]);
    let mut found = vec![inside.clone()];
    let root = fs::canonicalize(&inside).unwrap();
    while let Some(path) = found.pop() {
        assert!(
            fs::canonicalize(&path).unwrap().starts_with(&root),
            "{path:?} leads out"
        );
        if path.is_dir() && !path.is_symlink() {
            found.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    // Taking files out follows no link, whoever made it, and does not wait for a pipe.
    symlink("../secret", inside.join("planted")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(inside.join("pipe"))
        .status()
        .unwrap();
    assert!(pipe.success());
    for path in ["planted", "up/secret", "../secret", "fine", "pipe", "sub"] {
        assert!(dir.open_file(path).is_err(), "{path}");
    }
    let mut text = String::new();
    dir.open_file("a").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");

    // A guest that reads a pipe waits for who writes to it, and one that would write for who reads it, until its deadline.
    let ends_by_its_deadline = |script: &Script| {
        let started = Instant::now();
        let timeout = Duration::from_millis(200);
        let result = script.run(|job| job.file_system(".", dir.clone()).timeout(timeout));
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
        assert!(started.elapsed() < timeout + Duration::from_millis(500));
    };
    let mut reads = Script::default();
    reads.open("pipe", 0, READ, 0).read(5, 1);
    ends_by_its_deadline(&reads);
    let mut writes = Script::default();
    writes.open("pipe", 0, WRITE, 0);
    ends_by_its_deadline(&writes);
    let writer = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(inside.join("pipe"))
        .unwrap();
    ends_by_its_deadline(&reads);
    drop(writer);
}

/// Each job only does what it may, but while one moves a file, the other puts a link in its place.
#[test]
fn no_two_jobs_leave_a_link_that_leads_out() {
    let around = tempfile::tempdir().unwrap();
    let inside = around.path().join("inside");
    fs::create_dir_all(inside.join("sub/deep")).unwrap();
    fs::write(inside.join("sub/deep/file"), "").unwrap();
    // The owner's, which leads to the folder itself as long as it stays where it is.
    symlink("../..", inside.join("sub/deep/owners")).unwrap();
    let dir = || HostDir::read_write(&inside).unwrap().allow_links();
    let began = Instant::now();
    let goes_on = || began.elapsed() < Duration::from_secs(2);
    let (mut moved, mut linked) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let dir = dir();
            let rename = |from: &str, to: &str| dir.rename(&format!("sub/deep/{from}"), &format!("sub/deep/{to}"));
            // The file is at `place`, nothing, the link, nothing.
            while goes_on() {
                let _ = rename("file", "place").and_then(|()| rename("place", "file"));
                let _ = rename("owners", "place").and_then(|()| rename("place", "owners"));
            }
        });
        scope.spawn(|| {
            let dir = dir();
            while goes_on() {
                if dir.rename("sub/deep/place", "out").is_ok() {
                    moved += 1;
                    leads_nowhere(&inside.join("out"));
                    let _ = dir.rename("out", "sub/deep/file");
                }
                if dir.hard_link("sub/deep/place", "hard").is_ok() {
                    linked += 1;
                    leads_nowhere(&inside.join("hard"));
                    let _ = dir.remove_file("hard");
                }
            }
        });
    });
    println!("{moved} files were moved, {linked} linked");
    assert!(moved > 0 && linked > 0);
}

fn leads_nowhere(path: &Path) {
    assert!(!path.is_symlink(), "{path:?} leads out");
}

const LARGE_SIZE_BYTES: u64 = 300 << 20;

fn overlay_over_a_large_file(folder: &Path) -> (Arc<OverlayFs>, std::path::PathBuf) {
    let (lower, upper) = (folder.join("lower"), folder.join("upper"));
    fs::create_dir_all(&lower).unwrap();
    fs::create_dir_all(&upper).unwrap();
    fs::File::create(lower.join("large"))
        .unwrap()
        .set_len(LARGE_SIZE_BYTES)
        .unwrap();
    fs::write(lower.join("small"), "small").unwrap();
    let overlay = OverlayFs::new(
        Arc::new(HostDir::read_only(lower).unwrap()),
        Arc::new(HostDir::read_write(&upper).unwrap()),
    );
    (Arc::new(overlay), upper)
}

#[test]
fn what_is_copied_up_counts_can_be_interrupted_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (overlay, upper) = overlay_over_a_large_file(folder.path());
    let mut times = Script::default();
    times.store(SCRATCH, b"large");
    times.call("path_filestat_set_times", &[3, 1, SCRATCH.into(), 5, 0, 0, 5]);
    let mut writes = Script::default();
    writes.open("large", 0, READ | WRITE, 0);
    let mut renames = Script::default();
    rename(&mut renames, "large", "other");
    for script in [&times, &writes, &renames] {
        let written = reached(script, |job| {
            let job = job.file_system(".", overlay.clone()).stdout(Stdout::Discard);
            job.written_max_bytes(1000)
        });
        assert_eq!((written.0, written.1), (Limit::Written, 1000));
        assert!(written.2 >= LARGE_SIZE_BYTES);
    }
    // Into memory, it is the host's memory as well.
    let memory = MemoryFs::new(u64::MAX);
    let into_memory = OverlayFs::new(
        Arc::new(HostDir::read_only(folder.path().join("lower")).unwrap()),
        Arc::new(memory.clone()),
    );
    let limit = reached(&writes, |job| {
        job.file_system(".", Arc::new(into_memory))
            .host_memory_max_bytes(8 << 20)
    });
    assert_eq!((limit.0, limit.1), (Limit::HostMemory, 8 << 20));
    assert_eq!(memory.held_bytes(), 0);

    // A deadline ends it, and half a copy is nowhere.
    let started = Instant::now();
    let timeout = Duration::from_millis(20);
    let result = writes.run(|job| job.file_system(".", overlay.clone()).timeout(timeout));
    assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    assert!(started.elapsed() < timeout + Duration::from_millis(200));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(fs::read_dir(&upper).unwrap().count(), 0);

    // While one job copies, others run, and a second copy of the same file waits for the first.
    let mut small = Script::default();
    small.open("small", 0, READ, 0).open(".", 2, READ, 0);
    let listing = [6, u64::from(SCRATCH) + 0x1000, 1000, 0, SCRATCH.into()];
    small.call("fd_readdir", &listing).load(SCRATCH + 0x1000, 1000);
    let done = AtomicUsize::new(0);
    let wide = Runtime::builder();
    let wide = wide.max_concurrency(3).from_bytes(&support::interpreter()).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                assert_eq!(
                    errors(&writes.answers_of(&wide, |job| job.file_system(".", overlay.clone()))),
                    [SUCCESS]
                );
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        let (mut rounds, mut longest) = (0, Duration::ZERO);
        let copying = Instant::now();
        while done.load(Ordering::Relaxed) == 0 {
            assert!(copying.elapsed() < Duration::from_secs(60), "no copy came to its end");
            let started = Instant::now();
            let answers = small.answers_of(&wide, |job| job.file_system(".", overlay.clone()));
            longest = longest.max(started.elapsed());
            assert!(!String::from_utf8_lossy(&answers[3]).contains("afmpeg-copy"));
            rounds += 1;
        }
        println!(
            "{rounds} rounds in {:?}, of which the longest took {longest:?}",
            copying.elapsed()
        );
        // Held up by the copy, a round would take all the time until that is made.
        assert!(rounds > 3 && longest < copying.elapsed() / 2, "it was held up");
    });
    let left: Vec<_> = fs::read_dir(&upper)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["large"]);
    assert_eq!(fs::metadata(upper.join("large")).unwrap().len(), LARGE_SIZE_BYTES);
}

/// A file that is longer than it says.
struct Endless;

impl FileSystem for Endless {
    fn open(&self, _: &str, _: &OpenOptions) -> io::Result<Opened> {
        Ok(Opened::File(Box::new(Endless)))
    }

    fn metadata(&self, path: &str, _: bool) -> io::Result<Metadata> {
        match path {
            "." => Ok(Metadata::new(FileType::Directory, 0, 1)),
            _ => File::metadata(self),
        }
    }

    fn read_dir(&self, _: &str) -> io::Result<Vec<DirEntry>> {
        Ok(Vec::new())
    }
}

impl File for Endless {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::new(FileType::File, 10, 2))
    }

    fn read_at(&mut self, buffer: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(buffer.len())
    }
}

#[test]
fn only_files_are_copied_up_and_no_more_than_they_say() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    let pipe = Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(pipe.success());
    // It has a writer that never ends.
    let _writer = fs::File::options()
        .read(true)
        .write(true)
        .open(folder.path().join("pipe"))
        .unwrap();
    let dir = || Arc::new(HostDir::read_only(folder.path()).unwrap().allow_links()) as Arc<dyn FileSystem>;
    const NOTSUP: u64 = 58;
    for (path, lower, answer) in [
        ("endless", Arc::new(Endless) as Arc<dyn FileSystem>, BUSY),
        ("pipe", dir(), NOTSUP),
        ("file", dir(), SUCCESS),
        ("link", dir(), SUCCESS),
    ] {
        let upper = MemoryFs::new(64 << 20);
        let overlay = Arc::new(OverlayFs::new(lower, Arc::new(upper.clone())));
        let mut script = Script::default();
        script.open(path, 0, READ | WRITE, 0);
        let answers = script.answers(|job| job.file_system(".", overlay).timeout(Duration::from_secs(20)));
        assert_eq!(errors(&answers), [answer], "{path}");
        assert_eq!(upper.files().len(), usize::from(answer == SUCCESS), "{path}");
    }
}

/// What an overlay makes besides what the program asks for counts as that does.
#[test]
fn what_an_overlay_makes_besides_is_limited() {
    let lower = MemoryFs::new(0);
    for path in ["a/b/c/file", "top"] {
        lower.add_file(path, "x").unwrap();
    }
    let set_times = |script: &mut Script, path: &str| {
        script.store(SCRATCH, path.as_bytes());
        script.call(
            "path_filestat_set_times",
            &[3, 1, SCRATCH.into(), path.len() as u64, 0, 0, 5],
        );
    };
    fn open(script: &mut Script, path: &str, flags: u64) {
        script.open(path, flags, WRITE, 0);
    }
    type Case<'a> = (&'a str, u64, &'a dyn Fn(&mut Script));
    let cases: [Case; 7] = [
        ("cuts", 4, &|script| open(script, "a/b/c/file", TRUNCATE)),
        ("makes", 4, &|script| open(script, "a/b/c/new", CREATE)),
        ("writes", 4, &|script| open(script, "a/b/c/file", 0)),
        ("makes a folder", 4, &|script| {
            with_path(script, "path_create_directory", "a/b/c/new")
        }),
        ("renames", 4, &|script| rename(script, "top", "a/b/c/moved")),
        ("sets times", 2, &|script| set_times(script, "a/b")),
        ("sets times of what is open", 2, &|script| {
            script
                .open("a/b", 2, READ, 0)
                .call("fd_filestat_set_times", &[5, 0, 0, 5]);
        }),
    ];
    for (name, wanted, call) in cases {
        let upper = MemoryFs::new(1 << 20);
        let overlay = Arc::new(OverlayFs::new(Arc::new(lower.clone()), Arc::new(upper.clone())));
        let mut script = Script::default();
        call(&mut script);
        let limit = reached(&script, |job| job.file_system(".", overlay.clone()).names_max(1));
        assert_eq!(limit, (Limit::Names, 1, wanted), "{name}");
        assert!(upper.metadata("a", true).is_err(), "{name}");
        let allowed = script.answers(|job| job.file_system(".", overlay).names_max(wanted));
        assert!(errors(&allowed).iter().all(|errno| *errno == SUCCESS), "{name}");
    }
    // Many.
    let (lower, upper) = (MemoryFs::new(0), MemoryFs::new(1 << 20));
    let (mut folders, mut files) = (Script::default(), Script::default());
    for index in 0..1000 {
        lower.create_dir(&format!("d{index}")).unwrap();
        set_times(&mut folders, &format!("d{index}"));
    }
    for index in 0..5000 {
        let name = format!("{index:0250}");
        lower.add_file(&name, "x").unwrap();
        with_path(&mut files, "path_unlink_file", &name);
    }
    let held_before = lower.held_bytes();
    let overlay = Arc::new(OverlayFs::new(Arc::new(lower), Arc::new(upper.clone())));
    let limit = reached(&folders, |job| job.file_system(".", overlay.clone()).names_max(5));
    assert_eq!(limit, (Limit::Names, 5, 6));
    assert_eq!(upper.read_dir(".").unwrap().len(), 5);
    // Names of 250 letters that are gone are remembered.
    let max_bytes = held_before + (1 << 20);
    let limit = reached(&files, |job| {
        let job = job.stdout(Stdout::Discard).names_max(5);
        job.file_system(".", overlay.clone()).host_memory_max_bytes(max_bytes)
    });
    assert_eq!((limit.0, limit.1), (Limit::HostMemory, max_bytes));
    assert!(overlay.held_bytes() <= max_bytes);
    let allowed = files.answers(|job| job.file_system(".", overlay).names_max(5));
    let gone = errors(&allowed).iter().filter(|errno| **errno == SUCCESS).count();
    assert!((1000..4000).contains(&gone), "{gone} were left");
}

#[test]
fn what_two_jobs_append_is_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryFs::new(1 << 20);
    let dir = HostDir::read_write(folder.path()).unwrap();
    let systems: [Arc<dyn FileSystem>; 2] = [Arc::new(dir), Arc::new(memory)];
    for file_system in systems {
        let mut script = Script::default();
        // The flag may also come later, and go again.
        script
            .open("log", CREATE, WRITE, 0)
            .call("fd_fdstat_set_flags", &[5, APPEND]);
        for _ in 0..2000 {
            script.write(5, &[7; 10]);
        }
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| script.answers(|job| job.file_system(".", file_system.clone())));
            }
        });
        assert_eq!(file_system.metadata("log", true).unwrap().size_bytes, 2 * 2000 * 10);
        let mut script = Script::default();
        script
            .open("log", 0, READ | WRITE, APPEND)
            .write(5, b"end")
            .call("fd_tell", &[5, SCRATCH.into()])
            .load(SCRATCH, 8)
            .call("fd_fdstat_set_flags", &[5, 0])
            .call("fd_seek", &[5, 0, 0, SCRATCH.into()])
            .write(5, b"start")
            .call("fd_tell", &[5, SCRATCH.into()])
            .load(SCRATCH, 8);
        let answers = script.answers(|job| job.file_system(".", file_system.clone()));
        assert_eq!((number(&answers[3]), number(&answers[8])), (40_003, 5));
        assert_eq!(file_system.metadata("log", true).unwrap().size_bytes, 40_003);
    }
}

/// A descriptor is its owner's too: what the program does with it by its name changes nothing of how it is open.
#[test]
fn how_a_descriptor_was_opened_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("log"), "begin ").unwrap();
    fs::write(path("plain"), "begin ").unwrap();
    let log = fs::File::options().append(true).open(path("log")).unwrap();
    let plain = fs::File::options().write(true).open(path("plain")).unwrap();
    let mut script = Script::default();
    let open = |script: &mut Script, name: &str, flags, fd_flags| {
        script.store(SCRATCH, name.as_bytes());
        let (at, length) = (u64::from(SCRATCH), name.len() as u64);
        // The devices are the first directory behind the descriptors.
        script.call("path_open", &[5, 1, at, length, flags, WRITE, 0, fd_flags, at + 0x8000]);
    };
    open(&mut script, "fd/3", 0, 0);
    script.write(6, b"one ").call("fd_filestat_set_size", &[6, 0]);
    open(&mut script, "fd/3", TRUNCATE, APPEND);
    script.write(7, b"two ").call("fd_fdstat_set_flags", &[7, 0]);
    script.call("fd_seek", &[7, 0, 0, SCRATCH.into()]).write(7, b"three ");
    open(&mut script, "fd/4", 0, APPEND);
    script.write(8, b"more").call("fd_fdstat_set_flags", &[8, 0]);
    script.call("fd_seek", &[8, 0, 0, SCRATCH.into()]).write(8, b"B");
    script.call("fd_fdstat_set_flags", &[8, APPEND]).write(8, b"!");
    let given = [&log, &plain].map(|file| file.try_clone().unwrap());
    let [first, second] = given;
    let answers = script.answers(|job| job.descriptor(3, first).descriptor(4, second));
    let expected = [0, 0, PERM, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(errors(&answers), expected);
    let text = |name: &str| fs::read_to_string(path(name)).unwrap();
    assert_eq!(text("log"), "begin one two three ");
    assert_eq!(text("plain"), "Begin more!");
    // And afterwards, for their owner.
    (&log).write_all(b"end").unwrap();
    (&plain).write_all(b"b").unwrap();
    assert_eq!(text("log"), "begin one two three end");
    assert_eq!(text("plain"), "begin more!");
}

/// A stand-in for a multipart upload.
#[derive(Default)]
struct Parts(Mutex<Vec<(u64, Vec<u8>)>>);

impl WriteAt for Parts {
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        self.0.lock().unwrap().push((offset, buffer.to_vec()));
        Ok(buffer.len())
    }
}

#[test]
fn a_writer_is_a_file_whose_bytes_are_handed_over() {
    let parts = Arc::new(Parts::default());
    let memory = MemoryFs::new(0);
    memory.add_writer("out/upload", parts.clone()).unwrap();
    let mut script = Script::default();
    script
        .open("out/upload", CREATE | TRUNCATE, READ | WRITE, 0)
        .write(5, b"hello")
        .write(5, b" world")
        .call("fd_seek", &[5, 0, 0, SCRATCH.into()])
        .write(5, b"H")
        .call("fd_read", &[5, SCRATCH.into(), 1, u64::from(SCRATCH) + 64])
        .call("fd_filestat_set_size", &[5, 3])
        .call("fd_sync", &[5]);
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
    const NOTSUP: u64 = 58;
    assert_eq!(errors(&answers), [0, 0, 0, 0, 0, NOTSUP, NOTSUP, 0]);
    let expected = [(0, &b"hello"[..]), (5, b" world"), (0, b"H")].map(|(offset, bytes)| (offset, bytes.to_vec()));
    assert_eq!(*parts.0.lock().unwrap(), expected);
    assert_eq!(memory.files(), [("out/upload".to_owned(), 11)]);
    assert_eq!(
        memory.take_file("out/upload").unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );

    // A file that can be read back, as `+faststart` requires.
    let file = tempfile::tempfile().unwrap();
    memory.add_writer("file", Arc::new(file.try_clone().unwrap())).unwrap();
    let mut script = Script::default();
    script
        .open("file", 0, READ | WRITE, 0)
        .write(5, b"hello")
        .call("fd_filestat_set_size", &[5, 4])
        .call("fd_seek", &[5, 1, 0, SCRATCH.into()])
        .read(5, 10);
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
    assert_eq!(answers.last().unwrap()[..3], *b"ell");
    assert_eq!(file.metadata().unwrap().len(), 4);
}

/// Takes bytes, and then fails to flush them.
struct Unflushable(Arc<Mutex<Vec<u8>>>);

impl Write for Unflushable {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::other("the other end is gone"))
    }
}

#[test]
fn bytes_that_were_taken_are_not_written_again_when_flushing_fails() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut script = Script::default();
    script.write(2, b"once").write(2, b"twice").call("fd_close", &[2]);
    let writer = Stdout::Writer(Box::new(Unflushable(taken.clone())));
    let answers = script.answers(|job| job.stderr(writer));
    assert_eq!(errors(&answers), [SUCCESS, IO, SUCCESS]);
    assert_eq!(*taken.lock().unwrap(), b"once");
}

#[test]
fn memory_of_the_host_is_a_limit_whatever_it_is_held_for() {
    let small = |job: Job| job.host_memory_max_bytes(1 << 20);
    // What a MemoryFs without bounds would hold.
    let memory = MemoryFs::new(u64::MAX);
    let mut script = Script::default();
    script
        .open("file", CREATE, WRITE, 0)
        .call("fd_filestat_set_size", &[5, 1 << 40]);
    let limit = reached(&script, |job| small(job.file_system(".", Arc::new(memory.clone()))));
    assert_eq!((limit.0, limit.1), (Limit::HostMemory, 1 << 20));
    assert!(limit.2 >= 1 << 40);
    // What was captured.
    let mut script = Script::default();
    for _ in 0..9 {
        script.write(2, &[7; 50_000]);
    }
    let capture = |limit_bytes| Stdout::Capture { limit_bytes };
    let tight = |job: Job| job.stderr(capture(400_000)).host_memory_max_bytes(450_000);
    let limit = reached(&script, tight);
    assert_eq!((limit.0, limit.1), (Limit::HostMemory, 450_000));
    let output = script.run(|job| small(job.stderr(capture(100_000)))).unwrap();
    assert_eq!((output.stderr.len(), output.stderr_dropped_bytes), (100_000, 350_000));
    assert!(
        (100_000..400_000).contains(&output.host_memory_peak_bytes),
        "{output:?}"
    );
    // The names in a folder of the host, and those of several folders: the oldest are read again.
    let folder = tempfile::tempdir().unwrap();
    for index in 0..2000 {
        fs::write(folder.path().join(format!("{index:0200}")), "").unwrap();
    }
    let dir = Arc::new(HostDir::read_only(folder.path()).unwrap());
    let mut script = Script::default();
    for fd in 5..8 {
        script.open(".", 2, READ, 0);
        script.call(
            "fd_readdir",
            &[fd, (SCRATCH + 0x1000).into(), 0x1000, 0, SCRATCH.into()],
        );
    }
    script.call(
        "fd_readdir",
        &[5, (SCRATCH + 0x1000).into(), 0x1000, 1999, SCRATCH.into()],
    );
    script.load(SCRATCH, 4);
    let limit = reached(&script, |job| {
        job.file_system(".", dir.clone()).host_memory_max_bytes(300_000)
    });
    assert_eq!((limit.0, limit.1), (Limit::HostMemory, 300_000));
    let answers = script.answers(|job| job.file_system(".", dir.clone()).host_memory_max_bytes(1 << 20));
    // Of 2002 entries, three are left.
    assert_eq!(errors(&answers), [0, 0, 0, 0, 0, 0, 0, 3 * 224]);
    // What lies in tables.
    let tables = runtime(
        r#"(module (memory (export "memory") 1) (table 1 funcref)
            (func (export "_start")
                (loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
                (unreachable)))"#,
    );
    match tables.run(small(Job::new(["tables"]))) {
        Err(Error::Limit { limit, allowed, .. }) => assert_eq!((limit, allowed), (Limit::HostMemory, 1 << 20)),
        other => panic!("{other:?}"),
    }
    // And whatever it ran into, the next job runs.
    let mut script = Script::default();
    let answers = script.write(2, b"fine").answers(|job| job);
    assert!(errors(&answers).iter().all(|errno| *errno == SUCCESS));
}

/// One who feeds two pipes in turn, more than a pipe holds, has a program before it that reads the one that is fed last.
#[test]
fn what_pipes_give_beside_the_one_that_is_waited_for_is_held_within_limits() {
    const LENGTH: usize = 1 << 20;
    const PART: u32 = 4096;
    let bytes: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    let mut script = Script::default();
    script.read(3, 1).read(4, 1);
    for _ in 0..LENGTH / PART as usize {
        script.read(3, PART);
    }
    let run = |set_up: &dyn Fn(Job) -> Job| {
        let ((first, mut into_first), (second, mut into_second)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let given = bytes.clone();
        let feeder = thread::spawn(move || {
            // Nobody takes it when the job is at its end.
            let fed = into_first.write_all(&given);
            into_second.write_all(&[9]).and(fed).is_ok()
        });
        let output = script.run(|job| {
            let pipes = [first, second].map(|pipe| fs::File::from(OwnedFd::from(pipe)));
            let [first, second] = pipes;
            set_up(job.descriptor(3, first).descriptor(4, second))
        });
        (output, feeder.join().unwrap())
    };
    let (output, was_fed) = run(&|job| job.timeout(Duration::from_secs(60)));
    let output = output.unwrap();
    assert!(was_fed);
    assert!(
        (LENGTH as u64 - (128 << 10)..4 * LENGTH as u64).contains(&output.host_memory_peak_bytes),
        "{}",
        output.host_memory_peak_bytes
    );
    let read: Vec<u8> = script
        .cut(&output.stdout)
        .chunks(3)
        .flat_map(|answers| answers[2][..number(&answers[1]) as usize].to_vec())
        .collect();
    let wanted = [&bytes[..1], &[9], &bytes[1..]].concat();
    assert!(
        read == wanted[..read.len()] && read.len() > LENGTH / 2,
        "{}",
        read.len()
    );
    // With no memory for it, it stays where it is, and the job comes to its deadline.
    let tight = |job: Job| job.host_memory_max_bytes(300_000).timeout(Duration::from_secs(1));
    let began = Instant::now();
    let (output, was_fed) = run(&tight);
    assert!(matches!(output, Err(Error::Deadline { .. })), "{output:?}");
    assert!(!was_fed && began.elapsed() < Duration::from_secs(5));
}

/// An error behind bytes that were taken in while the program waited for another pipe is the program's to see.
#[test]
fn an_error_behind_what_was_taken_in_is_given_to_the_read_there() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let (second, mut into_second) = io::pipe().unwrap();
    (&far).write_all(&[5; 10]).unwrap();
    // A socket that is closed with something unread is reset: its other end reads the bytes, the error once, and the end.
    near.write_all(&[0]).unwrap();
    drop(far);
    let mut script = Script::default();
    script.read(3, 1).read(4, 1).read(3, 100).read(3, 100).read(3, 100);
    let feeder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        into_second.write_all(&[9]).unwrap();
    });
    let answers = script.answers(|job| {
        job.descriptor(3, fs::File::from(OwnedFd::from(near)))
            .descriptor(4, fs::File::from(OwnedFd::from(second)))
    });
    feeder.join().unwrap();
    let seen: Vec<(u64, u64)> = answers
        .chunks(3)
        .map(|answers| (number(&answers[0]), number(&answers[1])))
        .collect();
    assert_eq!(
        seen.iter().map(|(errno, _)| *errno).collect::<Vec<_>>(),
        [SUCCESS, SUCCESS, SUCCESS, IO, SUCCESS]
    );
    assert_eq!((seen[0].1, seen[1].1, seen[2].1, seen[4].1), (1, 1, 9, 0));
}

/// A file that is a stream is read where its position is, however long the program waits for a pipe.
#[test]
fn a_file_is_not_taken_in_before_it_is_read() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let (pipe, mut into_pipe) = io::pipe().unwrap();
    let mut script = Script::default();
    let position = u64::from(SCRATCH) + 64;
    let first = script.reads(3);
    script.read(4, 1).call("fd_seek", &[3, 2, 0, position]);
    let sought = script.reads(3);
    let feeder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        into_pipe.write_all(&[9]).unwrap();
    });
    let answers = script.answers(|job| {
        job.descriptor(3, file)
            .descriptor(4, fs::File::from(OwnedFd::from(pipe)))
    });
    feeder.join().unwrap();
    assert_eq!(
        (&answers[first][..], &answers[sought][..]),
        (&b"012345"[..], &b"234567"[..])
    );
}
