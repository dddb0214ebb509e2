//! Hostile guests: they get no further than their limits, and the runtime keeps working.

mod support;

use afmpeg::{Access, Error, FileSystem, HostDir, Job, Limit, MemoryFs, Runtime, Stdout};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{FUNCTIONS, MEMORY_SIZE_BYTES, SCRATCH, Script, number, runtime};

const SUCCESS: u64 = 0;
const DQUOT: u64 = 19;
const MFILE: u64 = 33;
const NAMETOOLONG: u64 = 37;
const NOSPC: u64 = 51;
/// The largest error number of preview 1.
const ERRNO_MAX: u64 = 76;

/// Programs that would never end, each with the most memory that it may come to have.
const GREEDY: [(&str, u64, &str); 6] = [
    ("loops", 1 << 16, "(loop $more (br $more))"),
    (
        "grows",
        64 << 20,
        "(loop $more (drop (memory.grow (i32.const 1))) (br $more))",
    ),
    (
        "grows its tables",
        1 << 16,
        "(loop $more (drop (table.grow (ref.null func) (i32.const 100000))) (br $more))",
    ),
    (
        "floods its output",
        1 << 16,
        "(i32.store (i32.const 4) (i32.const 65536))
        (loop $more
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 65536))
            (br $more))",
    ),
    (
        "makes files",
        1 << 16,
        "(loop $more
            (i64.store (i32.const 64) (i64.add (i64.load (i32.const 64)) (i64.const 0x100000001)))
            (i32.store8 (i32.const 64) (i32.or (i32.load8_u (i32.const 64)) (i32.const 1)))
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 72) (i32.const 8) (i32.const 1) (i64.const 66)
                (i64.const 0) (i32.const 0) (i32.const 128)))
            (drop (call $close (i32.const 5)))
            (call $name)
            (br $more))",
    ),
    (
        "sleeps",
        1 << 16,
        "(i64.store (i32.const 24) (i64.const -1))
        (loop $more (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))) (br $more))",
    ),
];

fn greedy(body: &str) -> Runtime {
    runtime(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (table 1 funcref)
            (data (i32.const 72) "aaaaaaaa")
            ;; The next name in the order of letters.
            (func $name (local $at i32)
                (local.set $at (i32.const 72))
                (loop $carry
                    (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
                    (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 122)) (then
                        (i32.store8 (local.get $at) (i32.const 97))
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br $carry)))))
            (func (export "_start") {body}))"#
    ))
}

#[test]
fn greed_ends_at_the_limits_and_with_the_deadline() {
    for (name, memory_max_bytes, body) in GREEDY {
        let program = greedy(body);
        let files = MemoryFs::new(1 << 20);
        let job = Job::new(["program"])
            .file_system(".", Arc::new(files.clone()))
            .memory_max_bytes(memory_max_bytes)
            .stdout(Stdout::Capture { limit_bytes: 100_000 })
            .timeout(Duration::from_millis(700));
        let started = Instant::now();
        let Err(Error::Deadline { output }) = program.run(job) else {
            panic!("{name} does not end by itself")
        };
        let late = started.elapsed().saturating_sub(Duration::from_millis(700));
        println!(
            "{name}: {late:.1?} late, {} files, {} bytes dropped",
            files.files().len(),
            output.stdout_dropped_bytes
        );
        assert!(late < Duration::from_millis(500), "{name}: {late:?} late");
        assert!(output.memory_peak_bytes <= memory_max_bytes, "{name}");
        assert!(output.stdout.len() <= 100_000, "{name}");
        if name == "makes files" {
            let count = files.files().len();
            assert!((1000..1 << 18).contains(&count), "{count} files");
        }
    }
}

#[test]
fn recursion_without_end_is_a_crash_that_others_survive() {
    let bottomless = runtime(
        // No compiler can make a loop of it.
        r#"(module (memory (export "memory") 1)
            (func $down (param i64 i64 i64 i64) (result i64)
                (if (i32.load (i32.const 8)) (then (return (local.get 0))))
                (i64.store (i32.const 0) (i64.rotl
                    (call $down (local.get 1) (local.get 2) (local.get 3) (local.get 0))
                    (i64.add (i64.load (i32.const 0)) (local.get 2))))
                (i64.load (i32.const 0)))
            (func (export "_start") (drop (call $down (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))))"#,
    );
    for _ in 0..3 {
        let Err(Error::Trap(trap)) = bottomless.run(["program"]) else {
            panic!("it has a bottom")
        };
        assert!(trap.reason.contains("stack"), "{}", trap.reason);
    }
}

#[test]
fn as_many_files_are_open_as_may_be() {
    let memory = MemoryFs::new(0);
    memory.add_file("file", "").unwrap();
    let mut script = Script::default();
    for _ in 0..200 {
        script.open("file", 0, 2, 0);
    }
    // A closed one makes room for one more.
    script
        .call("fd_close", &[50])
        .open("file", 0, 2, 0)
        .open("file", 0, 2, 0);
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())).open_files_max(100));
    let answers: Vec<u64> = answers.iter().map(|answer| number(answer)).collect();
    // The standard streams, the directory and the devices take five.
    assert!(answers[..95].iter().all(|answer| *answer == SUCCESS));
    assert!(answers[95..200].iter().all(|answer| *answer == MFILE));
    assert_eq!(answers[200..], [SUCCESS, SUCCESS, MFILE]);
}

/// A path that no program could open cannot come to be by renaming either, and what is as deep as can be is dropped
/// without recursion.
#[test]
fn directories_nest_by_renaming_as_deep_as_paths_go_and_no_deeper() {
    const CHAIN: usize = 1000;
    let memory = MemoryFs::new(0);
    let paths: Vec<String> = (1..=CHAIN).map(|depth| vec!["d"; depth].join("/")).collect();
    let deepest = &paths[CHAIN - 1];
    // Each round hangs all that there is below a new chain, until that is too long.
    let mut renames = Vec::new();
    for round in 0..10 {
        let mut script = Script::default();
        let call = |script: &mut Script, path: &str| {
            script.store(SCRATCH, path.as_bytes());
            script.call("path_create_directory", &[3, SCRATCH.into(), path.len() as u64]);
        };
        let rename = |script: &mut Script, from: &str, to: &str| {
            script
                .store(SCRATCH, from.as_bytes())
                .store(SCRATCH + 0x1000, to.as_bytes());
            let (from_length, to_length) = (from.len() as u64, to.len() as u64);
            script.call(
                "path_rename",
                &[3, SCRATCH.into(), from_length, 3, (SCRATCH + 0x1000).into(), to_length],
            );
        };
        let old = format!("old{round}");
        rename(&mut script, "d", &old);
        for path in &paths {
            call(&mut script, path);
        }
        rename(&mut script, &old, &format!("{deepest}/old"));
        let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
        renames.push(number(answers.last().unwrap()));
    }
    // There is nothing to move at first. Two chains, one below the other, are 4000 bytes long, and a third does not fit.
    assert_eq!(renames[1..], [[SUCCESS, NAMETOOLONG]; 5].as_flattened()[..9]);
    assert!(memory.files().is_empty());
    // On a thread with a small stack, so that the test does not depend on the size of this one's.
    thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || drop(memory))
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn no_more_files_can_be_made_than_memory_is_meant_to_hold() {
    let program = runtime(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $i i32) (local $errno i32)
                (loop $more
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    ;; Three letters of 64 each.
                    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (i32.and (local.get $i) (i32.const 63))))
                    (i32.store8 (i32.const 1)
                        (i32.add (i32.const 48) (i32.and (i32.shr_u (local.get $i) (i32.const 6)) (i32.const 63))))
                    (i32.store8 (i32.const 2)
                        (i32.add (i32.const 48) (i32.and (i32.shr_u (local.get $i) (i32.const 12)) (i32.const 63))))
                    (i32.store8 (i32.const 3) (i32.add (i32.const 48) (i32.shr_u (local.get $i) (i32.const 18))))
                    (local.set $errno (call $make (i32.const 3) (i32.const 0) (i32.const 4)))
                    (br_if $more (i32.eqz (local.get $errno))))
                (call $exit (local.get $errno))))"#,
    );
    let memory = MemoryFs::new(0);
    let job = |memory: &MemoryFs, names_max| {
        Job::new(["program"])
            .file_system(".", Arc::new(memory.clone()))
            .names_max(names_max)
            .timeout(Duration::from_secs(60))
    };
    let reached = |memory: &MemoryFs, names_max| match program.run(job(memory, names_max)) {
        Err(Error::Limit {
            limit,
            allowed,
            wanted,
            output,
        }) => (limit, allowed, wanted, output.exit_code as u64),
        other => panic!("{other:?}"),
    };
    assert_eq!(reached(&memory, 1000), (Limit::Names, 1000, 1001, DQUOT));
    assert!(memory.held_bytes() < 1 << 20);
    // A file system of its own, as the program begins with the same names again.
    let memory = MemoryFs::new(0);
    assert_eq!(
        reached(&memory, u64::MAX),
        (Limit::FileSystem, 1 << 18, (1 << 18) + 1, NOSPC)
    );
    assert!(memory.held_bytes() < 1 << 28);
}

/// Each argument of each function at its boundary values, with the other arguments valid.
#[test]
fn each_argument_of_each_call_may_be_anything() {
    let end = u64::from(MEMORY_SIZE_BYTES);
    let edges = [
        end - 1,
        end,
        end - 7,
        77,
        1 << 30,
        1 << 31,
        u64::from(u32::MAX),
        u64::from(u32::MAX) - 7,
        1 << 62,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
    ];
    for (name, parameters) in FUNCTIONS {
        let memory = MemoryFs::new(1 << 20);
        memory.add_file("a", "0123456789").unwrap();
        let mut script = Script::default();
        script.open("a", 0, 2 | 64, 0);
        // A path, then zeroes: an empty buffer, a clock that has run out.
        script.store(SCRATCH, b"a");
        let good: Vec<u64> = parameters
            .chars()
            .enumerate()
            .map(|(index, _)| match (name, index) {
                ("fd_prestat_get" | "fd_prestat_dir_name" | "fd_readdir", 0) => 3,
                (_, 0) if name.starts_with("path_") && name != "path_symlink" => 3,
                ("path_symlink", 2) | ("path_link", 4) | ("path_rename", 3) => 3,
                (_, 0) if name.starts_with("fd_") => 5,
                ("path_open", 5) => 2,
                ("poll_oneoff", 0) => u64::from(SCRATCH) + 4096,
                ("poll_oneoff", 2) => 1,
                ("clock_res_get" | "clock_time_get", 0) => 1,
                ("fd_renumber", 1) => 5,
                (_, 1) if name.starts_with("fd_") => SCRATCH.into(),
                (_, 2) if name.starts_with("fd_") => 1,
                (_, 3) if name.starts_with("fd_") => u64::from(SCRATCH) + 16,
                _ if name.starts_with("path_") => u64::from(SCRATCH) * u64::from(index % 2 == 0) + 1,
                _ => SCRATCH.into(),
            })
            .collect();
        let mut calls = 1;
        for argument in 0..good.len() {
            // Of a number that is too long only the low half arrives, and might close what carries the answers.
            let is_long = parameters.as_bytes()[argument] == b'I';
            for edge in edges.into_iter().filter(|edge| is_long || u32::try_from(*edge).is_ok()) {
                let mut arguments = good.clone();
                arguments[argument] = edge;
                script.call(name, &arguments);
                calls += 1;
            }
        }
        let started = Instant::now();
        let timeout = Duration::from_secs(2);
        let output = match script.run(|job| job.file_system(".", Arc::new(memory)).timeout(timeout)) {
            Ok(output) => output,
            // A clock or a span at its edge is a long sleep.
            Err(Error::Deadline { output }) if name == "poll_oneoff" => *output,
            result => panic!("{name}: {result:?}"),
        };
        assert!(started.elapsed() < timeout + Duration::from_millis(500));
        let answered = script
            .results(&output.stdout)
            .inspect(|answer| assert!(number(answer) <= ERRNO_MAX, "{name}: {answer:?}"))
            .count();
        assert!(
            answered == calls || (name == "poll_oneoff" && answered > 1),
            "{name}: {answered} of {calls}"
        );
    }
}

#[test]
fn buffers_without_end_or_number_are_refused_or_used_as_far_as_they_go() {
    let memory = MemoryFs::new(1 << 30);
    let mut script = Script::default();
    script.open("file", 1, 2 | 64, 0);
    let describe = |buffers: &[(u32, u32)]| -> Vec<u8> {
        buffers
            .iter()
            .flat_map(|(start, length)| [start.to_le_bytes(), length.to_le_bytes()].concat())
            .collect()
    };
    let all = (0, MEMORY_SIZE_BYTES);
    let cases = [
        // All of memory a thousand times over, its own description included.
        (vec![all; 1024], 0),
        (vec![all; 1024 * 16 + 1], 28),
        (vec![(u32::MAX, 1)], 21),
        (vec![(1, u32::MAX)], 21),
        (vec![all, (MEMORY_SIZE_BYTES, 1)], 21),
        (vec![(MEMORY_SIZE_BYTES, 0)], 0),
        (vec![], 0),
    ];
    for (buffers, _) in &cases {
        let bytes = describe(&buffers[..buffers.len().min(4096)]);
        script.store(SCRATCH + 64, &bytes);
        let arguments = [5, (SCRATCH + 64).into(), buffers.len() as u64, SCRATCH.into()];
        script.call("fd_write", &arguments);
    }
    let job = |job: Job| {
        job.file_system(".", Arc::new(memory.clone()))
            .timeout(Duration::from_secs(20))
    };
    let answers = script.answers(job);
    let expected: Vec<u64> = cases.iter().map(|(_, errno)| *errno).collect();
    assert_eq!(
        answers[1..].iter().map(|answer| number(answer)).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        memory.files(),
        [("file".to_owned(), 1024 * u64::from(MEMORY_SIZE_BYTES))]
    );
}

type Entry = (u32, i64, i64, Vec<u8>);

/// Everything below a folder: mode, times, link targets and contents.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = match () {
                _ if metadata.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                _ if metadata.is_file() => fs::read(&path).unwrap(),
                _ => {
                    folders.push(path.clone());
                    Vec::new()
                }
            };
            found.insert(
                path,
                (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content),
            );
        }
    }
    found
}

/// A folder that jobs get, beside one that they must not get at; links lead from one to the other.
struct Fence {
    around: tempfile::TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Fence {
    fn new() -> Fence {
        let around = tempfile::tempdir().unwrap();
        let (inside, outside) = (around.path().join("inside"), around.path().join("outside"));
        fs::create_dir_all(inside.join("sub/deep")).unwrap();
        fs::create_dir_all(outside.join("empty")).unwrap();
        fs::write(inside.join("own"), "inside").unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink(&outside, inside.join("absolute")).unwrap();
        symlink("../outside", inside.join("relative")).unwrap();
        symlink("relative", inside.join("chain")).unwrap();
        symlink("../../outside/secret", inside.join("sub/file")).unwrap();
        symlink("../../outside/new", inside.join("sub/dangling")).unwrap();
        symlink("sub/../../outside", inside.join("through")).unwrap();
        symlink("sub/deep/../../../outside/secret", inside.join("winding")).unwrap();
        symlink("/proc/self/cwd", inside.join("magic")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        Fence {
            around,
            inside,
            outside,
        }
    }
}

const PATHS_OUT: [&str; 25] = [
    "..",
    "../outside",
    "../outside/secret",
    "../outside/new",
    "../outside/empty",
    "./../outside/secret",
    "sub/../../outside/secret",
    "sub/deep/../../../outside/new",
    "//outside",
    "/",
    "/etc/passwd",
    "absolute/secret",
    "absolute/new",
    "absolute/empty",
    "relative/secret",
    "chain/secret",
    "chain/new",
    "through/secret",
    "through/empty/",
    "winding",
    "sub/file",
    "sub/dangling",
    "magic/Cargo.toml",
    "relative/../outside/secret",
    "loop/secret",
];

#[test]
fn no_path_leads_out_of_a_directory() {
    let fence = Fence::new();
    let before = snapshot(&fence.outside);
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let dir = Arc::new(HostDir::open(&fence.inside, access).unwrap());
        for path in PATHS_OUT {
            let mut script = Script::default();
            let mut reads = Vec::new();
            let length = path.len() as u64;
            let at = u64::from(SCRATCH);
            // What lies inside is read, so that nothing else is missing where the rest is not.
            script.open("own", 0, 2, 0);
            let own = script.reads(5);
            script.call("fd_close", &[5]);
            for follow in [0, 1] {
                for (flags, rights) in [(0, 2), (1, 64), (1 | 4, 66), (8, 66), (2, 2), (1 | 8, 64)] {
                    script.store(SCRATCH, path.as_bytes());
                    script.call("path_open", &[3, follow, at, length, flags, rights, 0, 0, at + 0x8000]);
                    reads.push(script.reads(5));
                    script.call("fd_close", &[5]);
                }
                script.store(SCRATCH, path.as_bytes());
                script.call("path_filestat_set_times", &[3, follow, at, length, 1, 1, 5]);
            }
            script.store(SCRATCH, path.as_bytes()).store(SCRATCH + 0x1000, b"x");
            script.call("path_create_directory", &[3, at, length]);
            script.call("path_rename", &[3, at, length, 3, at + 0x1000, 1]);
            script.call("path_rename", &[3, at + 0x1000, 1, 3, at, length]);
            script.store(SCRATCH + 0x1000, b"y");
            script.call("path_link", &[3, 0, at, length, 3, at + 0x1000, 1]);
            script.call("path_link", &[3, 1, at, length, 3, at + 0x1000, 1]);
            script.call("path_link", &[3, 0, at + 0x1000, 1, 3, at, length]);
            script.call("path_symlink", &[at + 0x1000, 1, 3, at, length]);
            script.call("path_remove_directory", &[3, at, length]);
            let answers = script.answers(|job| job.file_system(".", dir.clone()));
            assert_eq!(answers[own], b"inside", "{path}");
            for read in reads {
                assert!(!answers[read].starts_with(b"secret"), "{path} was read");
            }
            assert_eq!(snapshot(&fence.outside), before, "{path}");
        }
    }
}

/// Says that the work is done when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// While the guest opens, renames and unlinks, another process swaps directories for links that lead out.
#[test]
fn no_race_leads_out_of_a_directory() {
    let fence = Fence::new();
    let before = snapshot(&fence.outside);
    fs::create_dir(fence.inside.join("real")).unwrap();
    fs::write(fence.inside.join("real/secret"), "inside").unwrap();
    symlink("../outside", fence.inside.join("fake")).unwrap();
    let dir = Arc::new(HostDir::read_write(&fence.inside).unwrap());
    let done = AtomicBool::new(false);
    let (mut inside, mut refused) = (0, 0);
    thread::scope(|scope| {
        // Also where an assertion fails: the scope waits for the other thread.
        let _done = Done(&done);
        scope.spawn(|| {
            let path = |name| fence.inside.join(name);
            while !done.load(Ordering::Relaxed) {
                // `swap` is a directory, nothing, a link that leads out, and nothing again.
                for name in ["real", "fake"] {
                    fs::rename(path(name), path("swap")).unwrap();
                    thread::yield_now();
                    fs::rename(path("swap"), path(name)).unwrap();
                }
            }
        });
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            let mut script = Script::default();
            let mut reads = Vec::new();
            let at = u64::from(SCRATCH);
            for round in 0..300 {
                script
                    .store(SCRATCH, b"swap/secret")
                    .store(SCRATCH + 0x1000, b"swap/new");
                match round % 4 {
                    0 | 1 => {
                        script.call("path_open", &[3, round % 2, at, 11, 0, 2, 0, 0, at + 0x8000]);
                        reads.push(script.reads(5));
                        script.call("fd_close", &[5]);
                    }
                    2 => {
                        script.call("path_open", &[3, 1, at + 0x1000, 8, 1, 64, 0, 0, at + 0x8000]);
                        script.call("fd_close", &[5]);
                        script.call("path_unlink_file", &[3, at + 0x1000, 8]);
                    }
                    _ => {
                        script.call("path_create_directory", &[3, at + 0x1000, 8]);
                        script.call("path_remove_directory", &[3, at + 0x1000, 8]);
                        script.call("path_filestat_set_times", &[3, 1, at, 11, 1, 1, 5]);
                    }
                }
            }
            let answers = script.answers(|job| job.file_system(".", dir.clone()));
            for read in reads {
                assert!(!answers[read].starts_with(b"secret"), "the file outside was read");
                if answers[read].starts_with(b"inside") {
                    inside += 1
                } else {
                    refused += 1
                }
            }
        }
    });
    println!("{inside} opens led inside, {refused} were refused");
    assert!(inside > 0 && refused > 0);
    assert_eq!(snapshot(&fence.outside), before);
    assert_eq!(fs::read_dir(fence.around.path()).unwrap().count(), 2);
}
