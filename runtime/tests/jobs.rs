//! Jobs and their ends: exit codes, crashes, limits, streams, many at once.

mod support;

use afmpeg::{Error, Job, Limit, Output, Runtime, Stdin, Stdout};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::runtime;

fn exits_with(code: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code}))))"#
    )
}

#[test]
fn every_exit_code_is_passed_on() {
    for code in [0, 1, 125, 126, 127, 128, 255, -1] {
        let output = runtime(&exits_with(&code.to_string())).run(["program"]).unwrap();
        assert_eq!(output.exit_code, code);
        assert_eq!(output.success(), code == 0);
    }
}

#[test]
fn a_crash_names_the_trap_and_the_function() {
    let cases = [
        ("unreachable", "`unreachable`"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds"),
        (
            // No compiler can make a loop of it.
            "(if (i32.eqz (i32.load (i32.const 8))) (then (call $guilty))) (i32.store (i32.const 0) (i32.const 1))",
            "stack",
        ),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero"),
    ];
    for (body, reason) in cases {
        let wat = format!(
            r#"(module (memory (export "memory") 1)
                (func $guilty {body})
                (func (export "_start") (call $guilty)))"#
        );
        let error = runtime(&wat).run(["program"]).unwrap_err();
        let Error::Trap(trap) = &error else { panic!("{error}") };
        assert!(trap.reason.contains(reason), "{}", trap.reason);
        // A pack does not tell.
        let function = (!support::engine_is_pack()).then_some("guilty");
        assert_eq!(trap.function.as_deref(), function);
        assert!(error.to_string().contains(function.unwrap_or("crashed")));
    }
}

#[test]
fn memory_grows_to_its_limit_and_no_further() {
    let program = runtime(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (call $exit (memory.size))))"#,
    );
    let error = program
        .run(Job::new(["program"]).memory_max_bytes(100 << 16))
        .unwrap_err();
    let Error::Limit {
        limit: Limit::Memory,
        allowed,
        wanted,
        output,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((allowed, wanted), (100 << 16, 101 << 16));
    assert_eq!(output.exit_code, 100);
    assert_eq!(output.memory_peak_bytes, 100 << 16);
}

#[test]
fn a_program_that_fails_for_lack_of_memory_may_take_a_little_more_before_it_ends() {
    // Pages that it asks for beside its one, of six, and whether its end is the limit's doing.
    for (asked, is_limit) in [
        (&[9, 2][..], true),
        (&[9], true),
        (&[2, 2], false),
        (&[9, 5], true),
        (&[4, 4, 1], true),
    ] {
        let grow = |pages: &i32| format!("(drop (memory.grow (i32.const {pages})))");
        let program = runtime(&format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "_start") {} (call $exit (i32.const 1))))"#,
            asked.iter().map(grow).collect::<String>()
        ));
        let ended = program.run(Job::new(["program"]).memory_max_bytes(6 << 16));
        let by_limit = matches!(
            &ended,
            Err(Error::Limit {
                limit: Limit::Memory,
                ..
            })
        );
        assert_eq!(by_limit, is_limit, "{asked:?}: {ended:?}");
    }
}

static COPIER: LazyLock<Runtime> = LazyLock::new(|| runtime(support::COPIER));

#[test]
fn streams_of_any_length_pass_through_pipes() {
    let (input_reader, mut input_writer) = std::io::pipe().unwrap();
    let (mut output_reader, output_writer) = std::io::pipe().unwrap();
    let size_bytes = 100 << 20;
    let feeder = thread::spawn(move || {
        let block: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
        for _ in 0..size_bytes / block.len() {
            input_writer.write_all(&block).unwrap();
        }
    });
    let checker = thread::spawn(move || {
        let pattern: Vec<u8> = (0..=255).cycle().take(2 << 16).collect();
        let mut block = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            let count = output_reader.read(&mut block).unwrap();
            if count == 0 {
                return total;
            }
            let start = total % 256;
            assert!(block[..count] == pattern[start..start + count]);
            total += count;
        }
    });
    let file = |fd: std::os::fd::OwnedFd| std::fs::File::from(fd);
    let job = Job::new(["copy"])
        .stdin(Stdin::File(file(input_reader.into())))
        .stdout(Stdout::File(file(output_writer.into())))
        .timeout(Duration::from_secs(100));
    let output = COPIER.run(job).unwrap();
    feeder.join().unwrap();
    assert_eq!(checker.join().unwrap(), size_bytes);
    assert_eq!(
        (output.bytes_read, output.bytes_written),
        (size_bytes as u64, size_bytes as u64)
    );
    assert!(output.memory_peak_bytes <= 2 << 16);
}

#[test]
fn captured_output_keeps_its_end() {
    let input: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
    let job = Job::new(["copy"])
        .stdin(input.clone())
        .stdout(Stdout::Capture { limit_bytes: 1000 });
    let output = COPIER.run(job).unwrap();
    assert_eq!(output.stdout, input[199_000..]);
    assert_eq!(output.stdout_dropped_bytes, 199_000);
}

/// An input that holds the jobs that read it until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Readers>, Condvar)>);

#[derive(Default)]
struct Readers {
    waiting: usize,
    is_open: bool,
}

impl Gate {
    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Gate {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let mut readers = self.readers();
        readers.waiting += 1;
        drop(self.0.1.wait_while(readers, |readers| !readers.is_open).unwrap());
        Ok(0)
    }
}

/// Opens a gate when it is dropped: a scope waits for its jobs, also where an assertion in it has failed.
struct Opens<'a>(&'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.readers().is_open = true;
        self.0.0.1.notify_all();
    }
}

#[test]
fn jobs_run_side_by_side_up_to_the_bound_and_close_refuses_more() {
    let module = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 512) (i32.const 1024)) (i32.store (i32.const 516) (i32.const 8))
                (drop (call $read (i32.const 0) (i32.const 512) (i32.const 1) (i32.const 520)))
                (i64.store (i32.const 24) (i64.const 40000000))
                (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))))"#,
    )
    .unwrap();
    for (bound, rounds) in [(1, 6), (3, 2), (6, 1)] {
        let sleeper = Runtime::builder().max_concurrency(bound).from_bytes(&module).unwrap();
        let gate = Gate::default();
        let job = || Job::new(["sleep"]).stdin(Stdin::Reader(Box::new(gate.clone())));
        let (outputs, held, took) = thread::scope(|scope| {
            let end = Opens(&gate);
            let started = Instant::now();
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| sleeper.run(job()).unwrap())).collect();
            while gate.readers().waiting != bound || sleeper.stats().waiting != 6 - bound {
                assert!(started.elapsed() < Duration::from_secs(20), "{:?}", sleeper.stats());
                thread::sleep(Duration::from_millis(1));
            }
            // Longer than those that run can have waited, however busy the host is.
            let held = started.elapsed() + Duration::from_millis(20);
            thread::sleep(held);
            let opened = Instant::now();
            drop(end);
            let outputs: Vec<Output> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            (outputs, held, opened.elapsed())
        });
        let least = Duration::from_millis(40) * rounds;
        assert!(took >= least, "{bound} at a time took {took:?}");
        let waited = outputs.iter().filter(|output| output.timings.queue >= held).count();
        assert_eq!(waited, 6 - bound);
        sleeper.clone().close();
        assert!(matches!(sleeper.run(["sleep"]), Err(Error::Closed)));
    }
}

#[test]
fn arguments_and_variables_arrive_and_zero_bytes_do_not() {
    let print_arguments = runtime(
        r#"(module
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (drop (call $args (i32.const 64) (i32.const 1024)))
                (drop (call $environ (i32.const 128) (i32.const 1040)))
                (i32.store (i32.const 0) (i32.const 1024))
                (i32.store (i32.const 4) (i32.const 32))
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let output = print_arguments
        .run(Job::new(["a", ""]).arg("-é").env("N", "v=1"))
        .unwrap();
    assert_eq!(
        &output.stderr[..],
        "a\0\0-é\0\0\0\0\0\0\0\0\0\0N=v=1\0\0\0\0\0\0\0\0\0\0\0".as_bytes()
    );
    assert!(matches!(print_arguments.run(["a\0b"]), Err(Error::ZeroByte)));
}

#[test]
fn what_is_not_a_program_is_refused_with_the_reason() {
    let cases = [
        ("(module)", "`_start`"),
        (r#"(module (func (export "_start")))"#, "`memory`"),
        (
            r#"(module (import "env" "gift" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
            "env",
        ),
    ];
    for (wat, expected) in cases {
        let error = Runtime::from_bytes(&wat::parse_str(wat).unwrap()).expect_err("it is refused");
        assert!(
            matches!(error, Error::NotAProgram { .. }) && error.to_string().contains(expected),
            "{error}"
        );
    }
    assert!(matches!(Runtime::from_bytes(b"text"), Err(Error::ModuleFormat)));
    // What the engine could do, but what programs could not be stopped in, or counted.
    for wat in [
        "(func $callee (param i64 i64 i64 i64 i64 i64 i64 i64)) (func (export \"_start\") i64.const 0 i64.const 0 \
         i64.const 0 i64.const 0 i64.const 0 i64.const 0 i64.const 0 i64.const 0 return_call $callee)",
        "(memory 1) (func (export \"_start\"))",
        "(memory i64 1) (func (export \"_start\"))",
    ] {
        let wasm = wat::parse_str(format!(r#"(module (memory (export "memory") 1) {wat})"#)).unwrap();
        assert!(
            matches!(Runtime::from_bytes(&wasm), Err(Error::ModuleInvalid { .. })),
            "{wat}"
        );
    }
    assert!(matches!(
        Runtime::from_bytes(b"\0asm\x01\0\0\0junk"),
        Err(Error::ModuleInvalid { .. })
    ));
    assert!(matches!(
        Runtime::from_file("/nonexistent"),
        Err(Error::ModuleUnreadable { .. })
    ));
}

/// A caller's own code has as much stack as is promised for it, however deep the program is when it calls.
#[test]
fn a_callers_reader_has_stack_below_the_deepest_program() {
    struct Deep;
    impl Read for Deep {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let top = 0;
            buffer[0] = use_stack((&raw const top).addr());
            Ok(1)
        }
    }
    /// Calls itself until it has used 3.5 MiB.
    #[inline(never)]
    fn use_stack(top: usize) -> u8 {
        let page = std::hint::black_box([1; 1024]);
        let used_bytes = top - (&raw const page).addr();
        match used_bytes {
            0..0x38_0000 => use_stack(top).wrapping_add(page[used_bytes % page.len()]),
            _ => page[0],
        }
    }
    let run = |depth: u32| {
        let program = runtime(&format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func $deep (param i32) (result i32)
                    (if (result i32) (local.get 0)
                        (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                        (else
                            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 10))
                            (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
                (func (export "_start") (if (i32.ne (call $deep (i32.const {depth})) (i32.const {depth})) (then unreachable))))"#
        ));
        program.run(Job::new(["program"]).stdin(Stdin::Reader(Box::new(Deep))))
    };
    let (mut fits, mut overflows) = (1, 10_000_000);
    while overflows - fits > 1 {
        let depth = (fits + overflows) / 2;
        match run(depth) {
            Ok(_) => fits = depth,
            Err(Error::Trap(trap)) if trap.reason.contains("stack") => overflows = depth,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(fits > 10_000, "{fits} calls deep");
}
