//! The memory and the descriptors of this process that jobs take. These tests have a file of their own, since they
//! measure the whole process.

#![cfg(target_os = "linux")]

mod support;

use afmpeg::{Error, FileSystem, Job, Limit, MemoryFs, Runtime, Stdin, Stdout};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::{COPIER, SCRATCH, Script, interpreter, number, runtime, runtime_of};

fn resident_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Only one test runs at a time, since the process is measured.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_large_input_in_memory_is_not_copied() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Reads the file `a` to its end.
    let reader = runtime(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 64) "a")
            (func (export "_start")
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i64.const 2)
                    (i64.const 0) (i32.const 0) (i32.const 128)))
                (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 65536))
                (loop $more
                    (if (call $read (i32.load (i32.const 128)) (i32.const 0) (i32.const 1) (i32.const 8))
                        (then unreachable))
                    (br_if $more (i32.load (i32.const 8))))))"#,
    );
    let input = bytes::Bytes::from(vec![1; 512 << 20]);
    let before = resident_peak_bytes();
    assert!(before >= input.len() as u64);
    let files = MemoryFs::new(0);
    files.add_file("a", input.clone()).unwrap();
    let output = reader
        .run(Job::new(["reader"]).file_system(".", Arc::new(files)))
        .unwrap();
    assert!(output.success());
    assert_eq!(output.bytes_read, input.len() as u64);
    let more = resident_peak_bytes() - before;
    println!("{} KiB more", more >> 10);
    assert!(more < 16 << 20, "{more} bytes more");
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    now.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The result of something, and the memory that the process has taken for it at most.
fn growth_of<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let (sender, done) = mpsc::channel::<()>();
    // Memory that earlier tests have freed must not hide what this one takes.
    #[cfg(target_env = "gnu")]
    // SAFETY: it has no conditions.
    unsafe {
        libc::malloc_trim(0);
    }
    let before = resident_bytes();
    let watcher = thread::spawn(move || {
        let mut peak = 0;
        while done.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            peak = peak.max(resident_bytes());
        }
        peak
    });
    let result = run();
    drop(sender);
    (result, watcher.join().unwrap().saturating_sub(before))
}

fn greedy(body: &str) -> Runtime {
    runtime(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
            (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 3)
            (table 1 funcref)
            (global $errno (mut i32) (i32.const 0))
            ;; A name of 250 letters at 1024, of which the first five count.
            (func $name (param $number i32) (local $at i32)
                (memory.fill (i32.const 1024) (i32.const 110) (i32.const 250))
                (loop $more
                    (i32.store8 (i32.add (i32.const 1024) (local.get $at))
                        (i32.add (i32.const 48) (i32.and (local.get $number) (i32.const 31))))
                    (local.set $number (i32.shr_u (local.get $number) (i32.const 5)))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $at) (i32.const 5)))))
            ;; Opens the name; the descriptor is at 128. Flags: 1 creates, 2 is a directory.
            (func $opened (param $length i32) (param $flags i32) (result i32)
                (global.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 1024) (local.get $length)
                    (local.get $flags)
                    (select (i64.const 2) (i64.const 66) (i32.eq (local.get $flags) (i32.const 2))) (i64.const 0) (i32.const 0) (i32.const 128)))
                (i32.load (i32.const 128)))
            ;; 64 KiB.
            (func $piece (param $fd i32)
                (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 65536))
                (global.set $errno
                    (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") (local $i i32) (local $j i32) (local $fd i32)
                {body}
                (if (global.get $errno) (then (unreachable)))))"#
    ))
}

const HELD_MAX_BYTES: u64 = 32 << 20;

/// Guests that want the host to hold what their limit doesn't give, and the limit that they then fail by.
const GREEDY: [(&str, Option<Limit>, &str); 7] = [
    (
        "sets the sizes of many files, and back",
        None,
        "(loop $more
            (call $name (local.get $i))
            (local.set $fd (call $opened (i32.const 250) (i32.const 1)))
            (global.set $errno (i32.or (global.get $errno) (call $set_size (local.get $fd) (i64.const 16777216))))
            (global.set $errno (i32.or (global.get $errno) (call $set_size (local.get $fd) (i64.const 0))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 50))))",
    ),
    (
        "fills many files, and empties them",
        None,
        "(loop $more
            (call $name (local.get $i))
            (local.set $fd (call $opened (i32.const 250) (i32.const 1)))
            (local.set $j (i32.const 0))
            (loop $fill
                (call $piece (local.get $fd))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $fill (i32.lt_u (local.get $j) (i32.const 250))))
            (global.set $errno (i32.or (global.get $errno) (call $set_size (local.get $fd) (i64.const 0))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 50))))",
    ),
    (
        "fills files",
        Some(Limit::HostMemory),
        "(loop $more
            (call $name (local.get $i))
            (local.set $fd (call $opened (i32.const 250) (i32.const 1)))
            (if (i32.eqz (global.get $errno)) (then
                (call $piece (local.get $fd))
                (drop (call $close (local.get $fd)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.eqz (global.get $errno))))))",
    ),
    (
        "makes directories",
        Some(Limit::HostMemory),
        "(loop $more
            (call $name (local.get $i))
            (global.set $errno (call $make (i32.const 3) (i32.const 1024) (i32.const 250)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.eqz (global.get $errno))))",
    ),
    (
        "keeps listings",
        None,
        "(loop $more
            (call $name (local.get $i))
            (global.set $errno (i32.or (global.get $errno)
                (call $make (i32.const 3) (i32.const 1024) (i32.const 250))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 20000))))
        (i32.store8 (i32.const 1024) (i32.const 46))
        (local.set $i (i32.const 0))
        (loop $list
            (local.set $fd (call $opened (i32.const 1) (i32.const 2)))
            (global.set $errno (i32.or (global.get $errno)
                (call $list (local.get $fd) (i32.const 65536) (i32.const 65536) (i64.const 0) (i32.const 136))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $list (i32.lt_u (local.get $i) (i32.const 50))))",
    ),
    (
        "grows its tables",
        Some(Limit::HostMemory),
        "(loop $more
            (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 100000)) (i32.const -1))))
        (global.set $errno (i32.const 1))",
    ),
    (
        "floods what is captured",
        Some(Limit::HostMemory),
        "(loop $more
            (call $piece (i32.const 2))
            (br_if $more (i32.eqz (global.get $errno))))",
    ),
];

#[test]
fn what_guests_make_the_host_hold_stays_within_their_limit() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, limit, body) in GREEDY {
        let guest = greedy(body);
        let files = MemoryFs::new(u64::MAX);
        let job = Job::new(["guest"])
            .file_system(".", Arc::new(files.clone()))
            .host_memory_max_bytes(HELD_MAX_BYTES)
            .stderr(Stdout::Capture { limit_bytes: 1 << 40 })
            .timeout(Duration::from_secs(60));
        let (result, more) = growth_of(|| guest.run(job));
        let held = files.held_bytes();
        println!("{name}: {} KiB more, {} KiB held in files", more >> 10, held >> 10);
        match (result, limit) {
            (Ok(output), None) => assert!(output.host_memory_peak_bytes <= HELD_MAX_BYTES, "{name}: {output:?}"),
            (
                Err(Error::Limit {
                    limit: met,
                    allowed,
                    output,
                    ..
                }),
                Some(limit),
            ) => {
                assert_eq!((met, allowed), (limit, HELD_MAX_BYTES), "{name}");
                assert!(output.host_memory_peak_bytes <= HELD_MAX_BYTES, "{name}: {output:?}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        assert!(held <= HELD_MAX_BYTES, "{name}");
        // The program, its stack and the allocator's own.
        assert!(more < HELD_MAX_BYTES + (16 << 20), "{name}: {more} bytes more");
    }
}

/// Reports without end to one who keeps the receiver and does not look at it; the last of them is still there.
#[test]
fn reports_that_nobody_reads_are_not_held() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Lines of "progress=", 64 KiB at a time, and at last "frame=7" and "progress=end".
    let guest = greedy(
        "(i64.store (i32.const 1024) (i64.const 0x73736572676f7270))
        (local.set $fd (call $opened (i32.const 8) (i32.const 0)))
        (local.set $i (i32.const 65536))
        (loop $fill
            (i64.store (local.get $i) (i64.const 0x73736572676f7270))
            (i32.store16 offset=8 (local.get $i) (i32.const 0x0a3d))
            (local.set $i (i32.add (local.get $i) (i32.const 10)))
            (br_if $fill (i32.lt_u (local.get $i) (i32.const 131060))))
        (i32.store8 (i32.const 131071) (i32.const 10))
        (loop $more
            (call $piece (local.get $fd))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br_if $more (i32.and (i32.eqz (global.get $errno)) (i32.lt_u (local.get $j) (i32.const 1024)))))
        (i64.store (i32.const 65536) (i64.const 0x0a373d656d617266))
        (i64.store (i32.const 65544) (i64.const 0x73736572676f7270))
        (i64.store (i32.const 65552) (i64.const 0x0a646e653d))
        (i32.store (i32.const 4) (i32.const 21))
        (global.set $errno (i32.or (global.get $errno)
            (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))",
    );
    let job = Job::new(["guest"]).host_memory_max_bytes(HELD_MAX_BYTES);
    let (job, reports) = job.progress_channel();
    let (result, more) = growth_of(|| guest.run(job));
    println!("{} KiB more", more >> 10);
    let output = result.unwrap();
    assert!(output.success() && output.bytes_written > 60 << 20, "{output:?}");
    let last = reports.last().unwrap();
    assert_eq!((last.frame, last.finished), (7, true));
    assert!(more < HELD_MAX_BYTES + (16 << 20), "{more} bytes more");
}

/// Whatever a program calls a description, it is read in little memory and time.
#[test]
fn a_description_is_as_small_as_one_is() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let copier = runtime(COPIER);
    let repeated = |start: &str, part: &str, end: &str, size_bytes: usize| {
        let parts = part.repeat(size_bytes / part.len());
        bytes::Bytes::from(format!("{start}{parts}{end}"))
    };
    let format = r#"{"format":{"format_name":"x""#;
    for (name, json) in [
        (
            "too long",
            repeated(&format!("{format},\"o\":["), "0,", "0]}}", 64 << 20),
        ),
        (
            "many values",
            repeated(&format!("{format},\"o\":["), "0,", "0]}}", 4_000_000),
        ),
        (
            "many streams",
            repeated(
                &format!("{format}}},\"streams\":["),
                r#"{"index":0},"#,
                r#"{"index":0}]}"#,
                4_000_000,
            ),
        ),
    ] {
        let job = Job::probe("in").stdin(json).timeout(Duration::from_secs(60));
        let began = Instant::now();
        let (result, more) = growth_of(|| copier.probe(job));
        println!("{name}: {} KiB more, {:?}", more >> 10, began.elapsed());
        assert!(matches!(result, Err(Error::ProbeTooLarge { .. })), "{name}: {result:?}");
        assert!(more < 64 << 20, "{name}: {more} bytes more");
    }
    // Each stream is not compared with each picture.
    let streams = r#"{"index":1},"#.repeat(60_000);
    let json = format!(
        r#"{format}}},"streams":[{streams}{{"index":1}}],"frames":[{}{{}}]}}"#,
        "{},".repeat(60_000)
    );
    let began = Instant::now();
    let probe = copier.probe(Job::probe("in").stdin(json.into_bytes())).unwrap();
    assert_eq!(probe.streams.len(), 60_001);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A program that asks whether there is input needs a pipe for that; without one its input is still all there.
#[test]
fn input_is_not_lost_where_the_process_has_no_descriptors_left() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let program = runtime_of(&Runtime::builder(), &interpreter());
    let mut script = Script::default();
    // A subscription to what can be read from descriptor 0.
    let mut subscription = [0; 48];
    subscription[8] = 1;
    script.store(SCRATCH, &subscription);
    let at = u64::from(SCRATCH);
    script.call("poll_oneoff", &[at, at + 64, 1, at + 128]);
    script.store(SCRATCH, b"all of it").load(SCRATCH, 9);
    let run = || {
        let input = Stdin::Reader(Box::new(std::io::Cursor::new(script.input().to_vec())));
        program.run(Job::new(["guest"]).stdin(input)).unwrap()
    };
    let before = run();
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(200),
        ..limit
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let output = run();
    let count = held.len();
    drop(held);
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(count > 0);
    for output in [before, output] {
        let answers = script.cut(&output.stdout);
        assert_eq!((number(&answers[0]), &answers[1][..]), (0, &b"all of it"[..]));
    }
}
