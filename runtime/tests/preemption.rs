//! Deadlines and cancellations: in any state of a program, within a bound, by each way of running and stopping it, and with
//! the runtime whole afterwards.

mod support;

use afmpeg::fs::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened};
use afmpeg::{
    Cancellation, Capacity, Error, Job, MemoryFs, OverlayFs, Preemption, Runtime, RuntimeBuilder, Stats, Stdin, Stdout,
};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The delay that docs/runtime.md promises.
const PROMISED: Duration = Duration::from_millis(50);
/// The delay at which a single attempt fails; longer than promised, as the host may be busy.
const LATE: Duration = Duration::from_millis(500);
/// So many attempts are made to keep the promise: a busy host delays some, a fault all of them.
const ATTEMPTS: usize = 8;

/// The ways in which a program is run and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signals,
    Epochs,
    /// By signals, too.
    Pack,
}

/// All but packs where the variable AFMPEG_TEST_WITHOUT_PACKS is set, as it is in the quick tier.
fn ways() -> Vec<Way> {
    let mut ways = vec![Way::Signals, Way::Epochs];
    let has_packs = cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ));
    if has_packs && std::env::var_os("AFMPEG_TEST_WITHOUT_PACKS").is_none() {
        ways.push(Way::Pack);
    }
    ways
}

impl Way {
    /// A runtime of a module, by a builder with other settings.
    fn runtime(self, builder: &RuntimeBuilder, wasm: &[u8]) -> Runtime {
        let preemption = match self {
            Way::Signals => Preemption::Signals,
            Way::Epochs => Preemption::Epochs,
            Way::Pack => return support::packs::runtime_of(builder, wasm),
        };
        builder.clone().preemption(preemption).from_bytes(wasm).unwrap()
    }
}

/// Names and code of program states; a program runs the one of its argument count, and ends at once without arguments.
const STATES: [(&str, &str); 26] = [
    ("empty loop", "(loop $more (br $more))"),
    (
        "vectorised loop",
        "(loop $more
            (v128.store (i32.const 0) (i32x4.add (v128.load (i32.const 0)) (v128.load (i32.const 16))))
            (br $more))",
    ),
    ("calls", "(loop $more (call $leaf) (drop (call $fibonacci (i32.const 20))) (br $more))"),
    (
        "indirect calls",
        "(loop $more (call_indirect (type $void) (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1)))
            (br $more))",
    ),
    ("deep recursion", "(loop $more (drop (call $deep (i32.const 40000))) (br $more))"),
    (
        "growing memory",
        "(loop $more (drop (memory.grow (i32.const 1))) (i32.store (i32.const 65532) (i32.const 1)) (br $more))",
    ),
    ("copies", "(loop $more (memory.copy (i32.const 0) (i32.const 9) (i32.const 60000)) (br $more))"),
    ("small fills", "(loop $more (memory.fill (i32.const 0) (i32.const 1) (i32.const 64)) (br $more))"),
    (
        "fills of 4 KiB",
        "(local.set $i (i32.const 4096)) (loop $more (memory.fill (i32.const 0) (i32.const 1) (local.get $i)) (br $more))",
    ),
    ("fills of 64 KiB", "(loop $more (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $more))"),
    (
        "fills of 1 MiB",
        "(drop (memory.grow (i32.const 16)))
        (loop $more (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000)) (br $more))",
    ),
    (
        "copies that overlap",
        "(drop (memory.grow (i32.const 32)))
        (loop $more
            (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x180000))
            (memory.copy (i32.const 0) (i32.const 1) (i32.const 0x180000)) (br $more))",
    ),
    ("inits", "(loop $more (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 60000)) (br $more))"),
    (
        "table fills",
        "(drop (table.grow $entries (ref.func $leaf) (i32.const 200000)))
        (loop $more (table.fill $entries (i32.const 0) (ref.func $leaf) (i32.const 200000)) (br $more))",
    ),
    (
        "table copies",
        "(drop (table.grow $entries (ref.func $leaf) (i32.const 200000)))
        (loop $more (table.copy $entries $entries (i32.const 0) (i32.const 1) (i32.const 199999)) (br $more))",
    ),
    (
        "table inits",
        "(drop (table.grow $entries (ref.func $leaf) (i32.const 200000)))
        (loop $more (table.init $entries $functions (i32.const 0) (i32.const 0) (i32.const 20000)) (br $more))",
    ),
    ("growing a table", "(loop $more (drop (table.grow $entries (ref.func $leaf) (i32.const 100000))) (br $more))"),
    (
        "a long copy",
        "(drop (memory.grow (i32.const 8192)))
        (loop $more (memory.copy (i32.const 9) (i32.const 0) (i32.const 0x1fff0000)) (br $more))",
    ),
    (
        "a long fill",
        "(drop (memory.grow (i32.const 8192)))
        (loop $more (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1fff0000)) (br $more))",
    ),
    ("host calls", "(loop $more (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0))) (br $more))"),
    (
        "much randomness",
        "(drop (memory.grow (i32.const 8192)))
        (loop $more (drop (call $random (i32.const 0) (i32.const 0x1fff0000))) (br $more))",
    ),
    (
        "sleep",
        "(i64.store (i32.const 24) (i64.const -1))
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
    ),
    (
        "poll of input",
        "(i32.store8 (i32.const 8) (i32.const 1))
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
    ),
    (
        "read",
        "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000))
        (loop $more (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (br $more))",
    ),
    (
        "write",
        "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 60000))
        (loop $more (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $more))",
    ),
    (
        "read of a file",
        "(i32.store8 (i32.const 64) (i32.const 97))
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i64.const 2)
            (i64.const 0) (i32.const 0) (i32.const 128)))
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000))
        (loop $more
            (drop (call $read (i32.load (i32.const 128)) (i32.const 0) (i32.const 1) (i32.const 8))) (br $more))",
    ),
];

/// The states whose end a program does not see: it is stopped between two calls.
const COMPUTING: std::ops::Range<usize> = 0..17;

fn module() -> Vec<u8> {
    let mut cases = String::new();
    for (index, (_, body)) in STATES.iter().enumerate() {
        cases += &format!(
            "(if (i32.eq (local.get $state) (i32.const {})) (then {body}))\n",
            index + 1
        );
    }
    let (functions, bytes) = ("$leaf $other ".repeat(10_000), "a".repeat(60_000));
    let wat = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (type $void (func))
            (memory (export "memory") 1)
            (table funcref (elem $leaf $other))
            (table $entries 0 funcref)
            (elem $functions func {functions})
            (data $bytes "{bytes}")
            (func $leaf)
            (func $other (drop (call $fibonacci (i32.const 3))))
            (func $fibonacci (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add
                        (call $fibonacci (i32.sub (local.get 0) (i32.const 1)))
                        (call $fibonacci (i32.sub (local.get 0) (i32.const 2)))))))
            (func $deep (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                    (else (i32.const 0))))
            (func (export "_start") (local $state i32) (local $i i32)
                (drop (call $sizes (i32.const 200) (i32.const 204)))
                (local.set $state (i32.sub (i32.load (i32.const 200)) (i32.const 1)))
                {cases}))"#
    );
    wat::parse_str(wat).unwrap()
}

fn runtime(way: Way, max_concurrency: usize) -> Runtime {
    way.runtime(&Runtime::builder().max_concurrency(max_concurrency), &module())
}

fn job(state: usize) -> Job {
    Job::new(vec!["program"; state + 2]).memory_max_bytes(600 << 20)
}

fn named(name: &str) -> usize {
    STATES.iter().position(|(state, _)| *state == name).expect("a state")
}

/// Only one test at a time measures or changes the process's threads and memory.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of job threads of the process, and its memory.
#[derive(Clone, Copy, Debug)]
struct Held {
    threads: usize,
    resident_bytes: u64,
}

impl Held {
    fn now() -> Held {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let resident_pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Held {
            threads: names.filter(|name| name.trim() == "afmpeg job").count(),
            resident_bytes: resident_pages * 4096,
        }
    }

    /// Waits until the process has no more than it had, up to what allocators keep; returns the time that it took.
    fn wait_for(self, what: &str) -> Duration {
        let started = Instant::now();
        loop {
            let now = Held::now();
            if now.threads <= self.threads && now.resident_bytes <= self.resident_bytes + (32 << 20) {
                return started.elapsed();
            }
            assert!(started.elapsed() < LATE, "{what}: {now:?}, and it was {self:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn check_usable(runtime: &Runtime) {
    let output = runtime
        .run(Job::new(["program"]).timeout(Duration::from_secs(100)))
        .unwrap();
    assert!(output.success());
}

/// Returns the delay of a job's end after its deadline, and of another's after its cancellation. To exclude delays by
/// other work on the host, it is the least of several attempts.
///
/// If the job's thread is not left to a call, the process must have no more threads and memory afterwards than before.
fn lateness(runtime: &Runtime, left_behind: bool, mut job: impl FnMut() -> Job) -> [Duration; 2] {
    let mut least = lateness_once(runtime, left_behind, &mut job);
    for _ in 1..ATTEMPTS {
        if least.iter().all(|late| *late < PROMISED) {
            break;
        }
        let again = lateness_once(runtime, left_behind, &mut job);
        least = [least[0].min(again[0]), least[1].min(again[1])];
    }
    least
}

fn lateness_once(runtime: &Runtime, left_behind: bool, mut job: impl FnMut() -> Job) -> [Duration; 2] {
    let timeout = Duration::from_millis(30);
    let held = Held::now();
    let ends = |what| {
        if !left_behind {
            held.wait_for(what);
            // Those of other jobs, that don't come back, had threads before.
            assert!(runtime.stats().left_behind <= held.threads);
        }
    };
    let started = Instant::now();
    let result = runtime.run(job().timeout(timeout));
    let after_deadline = started.elapsed().saturating_sub(timeout);
    assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    ends("after a deadline");
    check_usable(runtime);

    let cancellation = Cancellation::new();
    let canceller = cancellation.clone();
    let thread = thread::spawn(move || {
        thread::sleep(timeout);
        canceller.cancel();
        Instant::now()
    });
    let result = runtime.run(job().cancellation(&cancellation));
    let after_cancellation = thread.join().unwrap().elapsed();
    assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
    ends("after a cancellation");
    check_usable(runtime);
    [after_deadline, after_cancellation]
}

fn assert_within(most: Duration, way: Way, name: &str, late: [Duration; 2]) {
    println!(
        "{way:?}, {name}: {:.1?} after the deadline, {:.1?} after cancellation",
        late[0], late[1]
    );
    assert!(late.iter().all(|late| *late < most), "{way:?}, {name}: {late:?} late");
}

/// The least of several attempts keeps the promise.
fn assert_in_time(way: Way, name: &str, least: [Duration; 2]) {
    assert_within(PROMISED, way, name, least);
}

fn file(descriptor: impl Into<std::os::fd::OwnedFd>) -> std::fs::File {
    std::fs::File::from(descriptor.into())
}

#[test]
fn computing_and_sleeping_end_in_time() {
    let _alone = alone();
    for way in ways() {
        let runtime = runtime(way, 1);
        for (state, (name, _)) in STATES.iter().enumerate().take(named("sleep") + 1) {
            assert_in_time(way, name, lateness(&runtime, false, || job(state)));
        }
    }
}

/// A reader, writer and file system whose calls do not return before the test does, whatever interrupts them.
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<()>, Condvar)>);

impl Stuck {
    fn wait(&self) -> ! {
        let mut guard = self.0.0.lock().unwrap();
        loop {
            guard = self.0.1.wait(guard).unwrap();
        }
    }
}

impl Read for Stuck {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.wait()
    }
}

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.wait()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait()
    }
}

impl FileSystem for Stuck {
    fn open(&self, _: &str, _: &OpenOptions) -> io::Result<Opened> {
        Ok(Opened::File(Box::new(self.clone())))
    }

    fn metadata(&self, _: &str, _: bool) -> io::Result<Metadata> {
        self.wait()
    }

    fn read_dir(&self, _: &str) -> io::Result<Vec<DirEntry>> {
        self.wait()
    }
}

impl File for Stuck {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::new(FileType::File, 0, 2))
    }

    fn read_at(&mut self, _: &mut [u8], _: u64) -> io::Result<usize> {
        self.wait()
    }
}

#[test]
fn waiting_for_streams_and_files_ends_in_time() {
    let _alone = alone();
    for way in ways() {
        let runtime = runtime(way, 1);
        // Pipes and sockets whose other end is silent stay open until the end of the test.
        let (quiet_pipe, _open_pipe) = io::pipe().unwrap();
        let (quiet_socket, _open_socket) = UnixStream::pair().unwrap();
        let pipe = || Stdin::File(file(quiet_pipe.try_clone().unwrap()));
        let (_open_reader, full_pipe) = io::pipe().unwrap();
        let full = || Stdout::File(file(full_pipe.try_clone().unwrap()));
        type Case<'a> = (&'a str, &'a str, &'a dyn Fn(Job) -> Job);
        let cases: [Case; 8] = [
            ("poll of input", "a pipe", &|job| job.stdin(pipe())),
            ("read", "a pipe", &|job| job.stdin(pipe())),
            ("read", "a socket's reader", &|job| {
                job.stdin(Stdin::Reader(Box::new(quiet_socket.try_clone().unwrap())))
            }),
            ("read", "a stuck reader", &|job| {
                job.stdin(Stdin::Reader(Box::new(Stuck::default())))
            }),
            ("write", "a full pipe", &|job| job.stdout(full())),
            ("write", "a stuck writer", &|job| {
                job.stdout(Stdout::Writer(Box::new(Stuck::default())))
            }),
            ("read of a file", "a stuck file system", &|job| {
                job.file_system(".", Arc::new(Stuck::default()))
            }),
            ("read of a file", "an overlay over a stuck file system", &|job| {
                let upper = Arc::new(MemoryFs::new(1 << 20));
                job.file_system(".", Arc::new(OverlayFs::new(Arc::new(Stuck::default()), upper)))
            }),
        ];
        for (state, what, prepare) in cases {
            // Without signals nothing ends a call of a caller's own reader.
            let left_behind = what.contains("stuck") || (what.contains("reader") && way == Way::Epochs);
            let late = lateness(&runtime, left_behind, || prepare(job(named(state))));
            assert_in_time(way, &format!("{state}: {what}"), late);
        }
    }
}

#[test]
fn standing_in_line_ends_in_time() {
    let _alone = alone();
    for way in ways() {
        let runtime = runtime(way, 1);
        let (occupied, cancellation) = (Cancellation::new(), Cancellation::new());
        thread::scope(|scope| {
            let _end = support::Cancels([&occupied, &cancellation]);
            let occupant = scope.spawn(|| runtime.run(job(0).cancellation(&occupied)));
            thread::sleep(Duration::from_millis(50));
            let timeout = Duration::from_millis(30);
            let started = Instant::now();
            assert!(matches!(
                runtime.run(job(0).timeout(timeout)),
                Err(Error::Deadline { .. })
            ));
            let after_deadline = started.elapsed().saturating_sub(timeout);
            let waiter = scope.spawn(|| runtime.run(job(0).cancellation(&cancellation)));
            thread::sleep(timeout);
            let cancelled = Instant::now();
            cancellation.cancel();
            assert!(matches!(waiter.join().unwrap(), Err(Error::Cancelled { .. })));
            let late = [after_deadline, cancelled.elapsed()];
            assert_within(LATE, way, "standing in line", late);
            occupied.cancel();
            assert!(matches!(occupant.join().unwrap(), Err(Error::Cancelled { .. })));
        });
        check_usable(&runtime);
    }
}

/// The error of a stopped job has the job's output, even if its thread had to be left behind.
#[test]
fn a_stopped_job_hands_over_what_it_wrote() {
    let _alone = alone();
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "so far")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 6))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (loop $more (br $more))))"#;
    let runtime = support::runtime(wat);
    for stdin in [Stdin::Empty, Stdin::Reader(Box::new(Stuck::default()))] {
        let job = Job::new(["program"]).stdin(stdin).timeout(Duration::from_millis(30));
        match runtime.run(job) {
            Err(Error::Deadline { output }) => {
                assert_eq!(
                    (&output.stdout[..], &output.stderr[..]),
                    (&b"so far"[..], &b"so far"[..])
                );
                assert!(output.timings.run >= Duration::from_millis(25), "{:?}", output.timings);
            }
            result => panic!("{result:?}"),
        }
    }
}

/// A job left behind in a caller's call does not run on when the call returns.
#[test]
fn a_job_that_was_left_behind_ends_with_its_call() {
    let _alone = alone();
    struct Slow(UnixStream);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Unlike a reader that passes interruptions on.
            loop {
                match self.0.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        }
    }
    struct Dropped(std::sync::mpsc::Sender<()>);
    impl Write for Dropped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    for way in ways() {
        let runtime = runtime(way, 1);
        let (quiet, mut speaker) = UnixStream::pair().unwrap();
        let (dropped, ended) = std::sync::mpsc::channel();
        let job = job(named("read"))
            .stdin(Stdin::Reader(Box::new(Slow(quiet))))
            .stdout(Stdout::Writer(Box::new(Dropped(dropped))))
            .timeout(Duration::from_millis(20));
        assert!(matches!(runtime.run(job), Err(Error::Deadline { .. })));
        assert!(
            ended.recv_timeout(Duration::from_millis(50)).is_err(),
            "its call has not returned"
        );
        speaker.write_all(b"x").unwrap();
        ended
            .recv_timeout(Duration::from_secs(20))
            .expect("the job ends with the call");
    }
}

/// Programs stopped at any of their instructions, in entering and leaving functions above all, leave the process whole.
#[test]
fn stopping_at_many_instructions_does_no_harm() {
    let _alone = alone();
    let stops = support::count::of("AFMPEG_TEST_STOPS", 400);
    for way in ways() {
        let runtime = runtime(way, 4);
        thread::scope(|scope| {
            for state in COMPUTING {
                let runtime = &runtime;
                scope.spawn(move || {
                    let mut random = state as u64 + 1;
                    for _ in 0..stops {
                        // Xorshift: other instants in every state, the same in every run as far as the clock allows.
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let result = runtime.run(job(state).timeout(Duration::from_micros(100 + random % 1500)));
                        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
                    }
                });
            }
        });
        check_usable(&runtime);
    }
}

/// Calls that do not return are counted while they don't, new jobs are refused where they are too many, and one thread sees to all.
#[test]
fn jobs_left_behind_are_counted_bounded_and_told_of() {
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);
    impl Gate {
        fn open(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }
    impl Read for Gate {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let guard = self.0.0.lock().unwrap();
            drop(self.0.1.wait_while(guard, |open| !*open).unwrap());
            Ok(0)
        }
    }
    let _alone = alone();
    // Touches 20 MiB, writes 6 bytes, and reads.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 320)
        (data (i32.const 64) "so far")
        (func (export "_start")
            (memory.fill (i32.const 1024) (i32.const 1) (i32.const 20000000))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 6))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (loop $more (br $more))))"#;
    for way in ways() {
        let held = Held::now();
        let stops = stop_threads();
        let capacity = Capacity::builder()
            .max_concurrency(2)
            .max_left_behind(5)
            .build()
            .unwrap();
        let builder = Runtime::builder().capacity(&capacity);
        let runtime = way.runtime(&builder, &wat::parse_str(wat).unwrap());
        let gate = Gate::default();
        let run = || {
            let job = Job::new(["program"]).stdin(Stdin::Reader(Box::new(gate.clone())));
            runtime.run(job.timeout(Duration::from_millis(200)))
        };
        for _ in 0..5 {
            let error = run().unwrap_err();
            assert!(matches!(error, Error::Deadline { .. }), "{error}");
            let output = error.output().unwrap();
            assert_eq!(output.stdout, b"so far");
            assert_eq!((output.memory_peak_bytes, output.bytes_written), (320 << 16, 6));
            if cfg!(target_os = "linux") {
                assert!(!output.cpu_time.is_zero());
            }
        }
        thread::sleep(Duration::from_millis(150));
        let stats = runtime.stats();
        assert_eq!((stats.running, stats.waiting, stats.left_behind), (0, 0, 5));
        assert_eq!(stats.left_behind_memory_bytes, 5 * (320 << 16));
        assert!(matches!(run(), Err(Error::Stuck { left_behind: 5 })));
        assert!(matches!(
            runtime.try_run(["program"]),
            Err(Error::Stuck { left_behind: 5 })
        ));
        assert!(stop_threads() <= stops + 1, "one thread sees to all of them");
        gate.open();
        held.wait_for("once the calls return");
        assert_eq!(runtime.stats(), Stats::default());
        assert!(matches!(run(), Err(Error::Deadline { .. })), "it loops");
    }
}

fn stop_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "afmpeg stop").count()
}
