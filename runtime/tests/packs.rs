//! Packs: programs in them end as those of wasmtime do, and nothing else than what a record names is loaded.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod support;

use afmpeg::{
    CacheStatus, Cancellation, Engine, EngineStatus, Error, Job, Limit, MemoryFs, Pack, PackError, Preemption, Runtime,
    Stdin,
};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use support::packs::{Packed, runtime_of};

fn packed(wat: &str) -> Runtime {
    runtime_of(&Runtime::builder(), &wat::parse_str(wat).unwrap())
}

/// What ends a program, and the words that its error has with either engine.
const TRAPS: [(&str, &str); 14] = [
    ("unreachable", "`unreachable`"),
    ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
    (
        "(i64.store offset=0xffffffff (i32.const -1) (i64.const 1))",
        "out of bounds memory access",
    ),
    (
        "(v128.store (i32.const 0x1fff8) (v128.const i64x2 1 1))",
        "out of bounds memory access",
    ),
    (
        "(memory.fill (i32.const 0x1ffff) (i32.const 1) (i32.const 2))",
        "out of bounds memory access",
    ),
    (
        "(memory.copy (i32.const 0) (i32.const 0x1ffff) (i32.const 2))",
        "out of bounds memory access",
    ),
    (
        "(memory.init $bytes (i32.const 0) (i32.const 3) (i32.const 2))",
        "out of bounds memory access",
    ),
    (
        "(table.set (i32.const 4) (ref.null func))",
        "out of bounds table access",
    ),
    (
        "(call_indirect (type $void) (i32.const 4))",
        "out of bounds table access",
    ),
    (
        "(call_indirect (type $void) (i32.const 1))",
        "indirect call type mismatch",
    ),
    (
        "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))",
        "integer divide by zero",
    ),
    (
        "(drop (i64.div_s (i64.const 0x8000000000000000) (i64.sub (i64.load (i32.const 0)) (i64.const 1))))",
        "integer overflow",
    ),
    (
        "(drop (i32.trunc_f32_s (f32.div (f32.const 0) (f32.load (i32.const 0)))))",
        "invalid conversion to integer",
    ),
    ("(call $deep (i32.const 1))", "call stack exhausted"),
];

fn trapping(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (type $void (func))
            (memory (export "memory") 2)
            (table 4 funcref)
            (elem (i32.const 0) $nothing $other)
            (data $bytes "1234")
            (func $other (param i32))
            (func $nothing)
            ;; No compiler can make a loop of it.
            (func $deep (param i32)
                (if (i32.load (i32.const 64)) (then (return)))
                (call $deep (i32.add (local.get 0) (i32.const 1)))
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))))
            (func (export "_start")
                (drop (call $sizes (i32.const 8) (i32.const 12)))
                (if (i32.gt_u (i32.load (i32.const 8)) (i32.const 1)) (then {body}))))"#
    )
}

#[test]
fn traps_have_the_names_that_they_have_elsewhere() {
    for (body, reason) in TRAPS {
        let wat = trapping(body);
        let packed = packed(&wat);
        let compiled = support::runtime(&wat);
        for round in 0..3 {
            for (engine, runtime) in [("pack", &packed), ("wasmtime", &compiled)] {
                match runtime.run(["program", "trap"]) {
                    Err(Error::Trap(trap)) => {
                        assert!(trap.reason.contains(reason), "{engine}: {body}: {}", trap.reason)
                    }
                    result => panic!("{engine}, {round}: {body}: {result:?}"),
                }
                assert!(runtime.run(["program"]).unwrap().success(), "{engine}: {body}");
            }
        }
    }
}

/// Calls of the host at any depth have their stack.
#[test]
fn calls_of_the_host_have_stack_until_the_program_has_none() {
    struct Deep;
    impl Read for Deep {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            // Most of what the documentation promises.
            let large = std::hint::black_box([1_u8; 3 << 20]);
            assert_eq!(large[large.len() - 1], 1);
            Ok(0)
        }
    }
    let program = packed(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            ;; No compiler can make a loop of it.
            (func $down (param i32)
                (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 1000))) (then
                    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
                (if (i32.load (i32.const 32)) (then (return)))
                (call $down (i32.add (local.get 0) (i32.const 1)))
                (i32.store (i32.const 36) (i32.add (i32.load (i32.const 36)) (local.get 0))))
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
                (call $down (i32.const 0))))"#,
    );
    let job = Job::new(["program"]).stdin(Stdin::Reader(Box::new(Deep)));
    match program.run(job.timeout(Duration::from_secs(60))) {
        Err(Error::Trap(trap)) => assert!(trap.reason.contains("stack"), "{}", trap.reason),
        result => panic!("{result:?}"),
    }
}

#[test]
fn a_callers_panic_reaches_the_caller_and_leaves_the_runtime_whole() {
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("of the caller's own");
        }
    }
    let program = runtime_of(&Runtime::builder(), &wat::parse_str(support::COPIER).unwrap());
    for _ in 0..3 {
        let job = Job::new(["copier"]).stdin(Stdin::Reader(Box::new(Panics)));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.run(job))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"of the caller's own"));
        let output = program.run(Job::new(["copier"]).stdin(b"fine".to_vec())).unwrap();
        assert_eq!(output.stdout, b"fine");
    }
}

#[test]
fn memory_ends_at_the_limit_and_is_zero_at_first() {
    let grows = packed(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $at i32)
                (loop $more
                    ;; All of it is zero before it is written to.
                    (local.set $at (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
                    (loop $look
                        (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
                        (i64.store (local.get $at) (i64.const -1))
                        (local.set $at (i32.add (local.get $at) (i32.const 8)))
                        (br_if $look (i32.and (local.get $at) (i32.const 0xffff))))
                    (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (call $exit (memory.size))))"#,
    );
    for _ in 0..3 {
        match grows.run(Job::new(["program"]).memory_max_bytes(100 << 16)) {
            Err(Error::Limit {
                limit,
                allowed,
                wanted,
                output,
            }) => {
                assert_eq!((limit, allowed, wanted), (Limit::Memory, 100 << 16, 101 << 16));
                assert_eq!((output.exit_code, output.memory_peak_bytes), (100, 100 << 16));
            }
            result => panic!("{result:?}"),
        }
    }
    // Its own maximum is the module's limit, and not the job's.
    let bounded = packed(
        r#"(module (memory (export "memory") 1 3)
            (func (export "_start")
                (if (i32.ne (memory.grow (i32.const 2)) (i32.const 1)) (then unreachable))
                (if (i32.ne (memory.grow (i32.const 0)) (i32.const 3)) (then unreachable))
                (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))))"#,
    );
    assert!(bounded.run(["program"]).unwrap().success());
    match bounded.run(Job::new(["program"]).memory_max_bytes(65535)) {
        Err(Error::Limit {
            limit, allowed, wanted, ..
        }) => {
            assert_eq!((limit, allowed, wanted), (Limit::Memory, 65535, 65536));
        }
        result => panic!("{result:?}"),
    }
}

/// A program of several functions that computes and makes calls, stopped wherever it is.
#[test]
fn stops_at_random_instants_do_no_harm() {
    let program = packed(
        r#"(module
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 4)
            (table 3 funcref)
            (elem (i32.const 0) $copies $fibonacci_of_20 $grows)
            (type $void (func))
            (func $fibonacci (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add
                        (call $fibonacci (i32.sub (local.get 0) (i32.const 1)))
                        (call $fibonacci (i32.sub (local.get 0) (i32.const 2)))))))
            (func $fibonacci_of_20 (drop (call $fibonacci (i32.const 20))))
            (func $copies
                (memory.copy (i32.const 1) (i32.const 0) (i32.const 100000))
                (memory.fill (i32.const 0) (i32.const 7) (i32.const 5000)))
            (func $grows (drop (memory.grow (i32.const 1))) (drop (table.grow (ref.null func) (i32.const 10))))
            (func (export "_start") (local $i i32)
                (loop $more
                    (call_indirect (type $void) (i32.rem_u (local.get $i) (i32.const 3)))
                    (if (i32.eqz (i32.and (local.get $i) (i32.const 15)))
                        (then (drop (call $random (i32.const 64) (i32.const 8)))))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br $more))))"#,
    );
    let stops = support::count::of("AFMPEG_TEST_STOPS", 2000);
    thread::scope(|scope| {
        for seed in 1..=4 {
            let program = &program;
            scope.spawn(move || {
                let mut random: u64 = seed;
                for _ in 0..stops.div_ceil(4) {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let job = Job::new(["program"]).memory_max_bytes(64 << 20);
                    let result = program.run(job.timeout(Duration::from_micros(50 + random % 1000)));
                    assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
                }
            });
        }
    });
}

#[test]
fn a_pack_is_cancelled_as_a_compiled_module_is() {
    let program = packed(r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#);
    let cancellation = Cancellation::new();
    let canceller = cancellation.clone();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        canceller.cancel();
    });
    let result = program.run(Job::new(["program"]).cancellation(&cancellation));
    assert!(matches!(result, Err(Error::Cancelled { .. })), "{result:?}");
    thread.join().unwrap();
}

#[test]
fn files_and_streams_are_those_of_any_job() {
    let files = MemoryFs::new(1 << 20);
    files.add_file("a", "0123456789").unwrap();
    let mut script = support::Script::default();
    script.open("a", 0, 2 | 64, 0);
    script.read(5, 4);
    let interpreter = runtime_of(&Runtime::builder(), &support::interpreter());
    let answers = script.answers_of(&interpreter, |job| job.file_system(".", Arc::new(files)));
    assert_eq!(answers.last().unwrap(), b"0123");
}

const PROGRAM: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 42))))"#;

/// A program that no other test has loaded: packs that are known by their digest are not read again.
fn program() -> Vec<u8> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut wasm = wat::parse_str(PROGRAM).unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_le_bytes();
    // A custom section.
    wasm.extend([0, 6, 1, b'n', number[0], number[1], number[2], number[3]]);
    wasm
}

/// A pack and its record in a folder, to be changed.
struct Changed {
    packed: Packed,
    file: PathBuf,
    record: PathBuf,
}

impl Changed {
    fn new() -> Changed {
        let packed = Packed::new(&program());
        let file = packed.pack().path().to_owned();
        Changed {
            record: file.with_extension("json"),
            file,
            packed,
        }
    }

    /// Changes a value in the record.
    fn in_record(&self, key: &str, value: impl Into<serde_json::Value>) {
        let text = fs::read_to_string(&self.record).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(record[key] != serde_json::Value::Null, "{text}");
        record[key] = value.into();
        fs::write(&self.record, record.to_string()).unwrap();
    }

    /// Why the pack is refused; and the module runs by wasmtime where there is the choice, which says why.
    #[track_caller]
    fn refusal(&self) -> PackError {
        let by = |engine| Runtime::builder().engine(engine).from_file(self.packed.module());
        let auto = by(Engine::Auto).unwrap();
        assert_eq!(auto.run(["program"]).unwrap().exit_code, 42);
        let error = by(Engine::Pack).unwrap_err();
        let EngineStatus::PackRefused { reason } = auto.engine_status() else {
            panic!("{}", auto.engine_status())
        };
        assert_eq!(*reason, error.chain());
        println!("{}", error.chain());
        let Error::Pack { path, source } = error else {
            panic!("{error}")
        };
        assert!(path.starts_with(self.packed.folder()), "{}", path.display());
        source
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_no_pack_of_the_module_is_refused_and_wasmtime_has_the_choice() {
    let changed = Changed::new();
    // Of another module.
    fs::write(changed.packed.module(), program()).unwrap();
    assert!(matches!(changed.refusal(), PackError::OtherModule { .. }));

    let changed = Changed::new();
    let mut bytes = fs::read(&changed.file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&changed.file, &bytes).unwrap();
    assert!(matches!(changed.refusal(), PackError::Digest { .. }));
    bytes[middle] ^= 1;
    fs::write(&changed.file, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(changed.refusal(), PackError::Digest { .. }));
    fs::write(&changed.file, [&bytes[..], b"x"].concat()).unwrap();
    assert!(matches!(changed.refusal(), PackError::Digest { .. }));
    fs::write(&changed.file, "").unwrap();
    assert!(matches!(changed.refusal(), PackError::Digest { .. }));
    // As it was.
    fs::write(&changed.file, &bytes).unwrap();
    let runtime = Runtime::builder()
        .engine(Engine::Auto)
        .from_file(changed.packed.module())
        .unwrap();
    assert!(matches!(runtime.engine_status(), EngineStatus::Pack { path, .. } if *path == changed.file));
    assert_eq!(*runtime.cache_status(), CacheStatus::NotNeeded);
    assert_eq!(runtime.run(["program"]).unwrap().exit_code, 42);

    let changed = Changed::new();
    changed.in_record("abi", 2);
    assert!(matches!(changed.refusal(), PackError::Abi { found: 2, expected: 1 }));
    let changed = Changed::new();
    let other = if cfg!(target_arch = "x86_64") {
        "aarch64-linux"
    } else {
        "x86_64-v3-linux"
    };
    changed.in_record("machine", other);
    assert!(matches!(changed.refusal(), PackError::Machine { machine, .. } if machine == other));
    fs::write(&changed.record, "{}").unwrap();
    assert!(matches!(changed.refusal(), PackError::RecordUnreadable { .. }));
    fs::remove_file(&changed.record).unwrap();
    assert!(matches!(changed.refusal(), PackError::NoRecord { .. }));
    // A record that names what is no pack at all.
    let changed = Changed::new();
    use sha2::Digest;
    let digest: String = sha2::Sha256::digest(b"no pack")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    changed.in_record("pack_sha256", digest);
    fs::write(&changed.file, "no pack").unwrap();
    assert!(matches!(changed.refusal(), PackError::Load { .. }));
}

/// Whoever tries again and again takes nothing that stays; a pack that is loaded is still compared with each record.
#[test]
fn a_record_of_another_module_is_refused_and_leaves_nothing() {
    let held = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let files = fs::read_dir("/proc/self/fd").unwrap();
        let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let is_pack = |name: &str| name.contains("memfd:afmpeg pack");
        let open = files.filter(|file| is_pack(&file.to_string_lossy())).count();
        (open, maps.lines().filter(|line| is_pack(line)).count())
    };
    let changed = Changed::new();
    let of = || Runtime::builder().from_pack(&Pack::from_record(&changed.record).unwrap());
    let other_module = || match of().unwrap_err() {
        Error::Pack {
            source: PackError::OtherModule { module, .. },
            ..
        } => assert_eq!(module, "0".repeat(64)),
        error => panic!("{error}"),
    };
    let record = fs::read_to_string(&changed.record).unwrap();
    changed.in_record("module_sha256", "0".repeat(64));
    let before = held();
    for _ in 0..100 {
        other_module();
    }
    // Other tests load packs meanwhile.
    let after = held();
    assert!(
        after.0 < before.0 + 50 && after.1 < before.1 + 200,
        "{before:?}, then {after:?}"
    );
    fs::write(&changed.record, record).unwrap();
    assert_eq!(of().unwrap().run(["program"]).unwrap().exit_code, 42);
    changed.in_record("module_sha256", "0".repeat(64));
    other_module();
}

#[test]
fn what_others_could_have_written_is_refused() {
    for writable in [0o664, 0o646] {
        let changed = Changed::new();
        set_mode(&changed.file, writable);
        assert!(matches!(changed.refusal(), PackError::Distrusted { .. }));
        set_mode(&changed.file, 0o644);
        set_mode(&changed.record, writable);
        assert!(matches!(changed.refusal(), PackError::Distrusted { .. }));
        set_mode(&changed.record, 0o644);
        let folder = changed.packed.folder();
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(folder, mode);
            assert!(matches!(changed.refusal(), PackError::Distrusted { .. }));
        }
        set_mode(folder, 0o755);
        assert!(
            Runtime::builder()
                .engine(Engine::Pack)
                .from_file(changed.packed.module())
                .is_ok()
        );
    }
}

#[test]
fn a_pack_is_found_beside_its_module_or_by_its_record() {
    let changed = Changed::new();
    let by_record = Pack::from_record(&changed.record).unwrap();
    assert_eq!(by_record.path(), changed.file);
    let alone = Runtime::builder().from_pack(&by_record).unwrap();
    assert_eq!(alone.run(["program"]).unwrap().exit_code, 42);
    let of_bytes = Runtime::builder()
        .pack(&by_record)
        .from_bytes(&fs::read(changed.packed.module()).unwrap());
    assert_eq!(of_bytes.unwrap().run(["program"]).unwrap().exit_code, 42);
    assert!(matches!(
        Runtime::builder().pack(&by_record).from_bytes(&program()),
        Err(Error::Pack {
            source: PackError::OtherModule { .. },
            ..
        })
    ));
    assert!(matches!(
        Runtime::builder().engine(Engine::Pack).from_bytes(&program()),
        Err(Error::NoPack)
    ));
    // By default it is left alone.
    let runtime = Runtime::from_file(changed.packed.module()).unwrap();
    assert_eq!(*runtime.engine_status(), EngineStatus::Wasmtime);
    // Where it cannot be stopped as the caller wants it, it is no choice.
    let epochs = Runtime::builder().preemption(Preemption::Epochs);
    let auto = epochs
        .clone()
        .engine(Engine::Auto)
        .from_file(changed.packed.module())
        .unwrap();
    assert_eq!(*auto.engine_status(), EngineStatus::Wasmtime);
    assert!(matches!(
        epochs.pack(&by_record).from_file(changed.packed.module()),
        Err(Error::Pack {
            source: PackError::Epochs,
            ..
        })
    ));
    fs::remove_file(&changed.file).unwrap();
    assert!(matches!(
        Pack::beside(changed.packed.module()),
        Err(Error::Pack {
            source: PackError::Missing { .. },
            ..
        })
    ));
    let auto = Runtime::builder()
        .engine(Engine::Auto)
        .from_file(changed.packed.module())
        .unwrap();
    assert_eq!(*auto.engine_status(), EngineStatus::Wasmtime);
}
