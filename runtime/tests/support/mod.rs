//! A guest that makes whatever WASI calls a test tells it to.

#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod count;
pub mod packs;

use afmpeg::{Cancellation, Error, Job, Output, Runtime, RuntimeBuilder};
use std::fmt::Write;
use std::sync::LazyLock;

/// Every function of WASI preview 1 but `proc_exit`, with the types of its parameters: `i` is 32 bits, `I` is 64.
pub const FUNCTIONS: [(&str, &str); 45] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

const STORE: u64 = FUNCTIONS.len() as u64;
const LOAD: u64 = STORE + 1;
const FAIL: u64 = STORE + 2;
const ARGUMENTS: usize = 9;
const RECORD_SIZE_BYTES: usize = (1 + ARGUMENTS) * 8;

/// Far from the numbers of what is done at once: it is about the call that follows.
const PASS: u64 = STORE + 100;

/// The guest keeps the first page of its memory for itself; scripts have the others.
pub const SCRATCH: u32 = 0x1_0000;
const MEMORY_PAGES: u32 = 4;
pub const MEMORY_SIZE_BYTES: u32 = MEMORY_PAGES * 0x1_0000;

static INTERPRETER: LazyLock<Runtime> = LazyLock::new(|| runtime_of(&Runtime::builder(), &interpreter()));

/// The guest reads records from its input, each a function's number and its arguments, and answers with results.
pub fn interpreter() -> Vec<u8> {
    let mut imports = String::new();
    let mut cases = String::new();
    for (index, (name, parameters)) in FUNCTIONS.iter().enumerate() {
        let types: String = parameters
            .chars()
            .map(|kind| if kind == 'i' { " i32" } else { " i64" })
            .collect();
        writeln!(
            imports,
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{types}) (result i32)))"
        )
        .unwrap();
        write!(
            cases,
            "(if (i32.eq (local.get $op) (i32.const {index})) (then (local.set $result (call ${name}"
        )
        .unwrap();
        for (argument, kind) in parameters.chars().enumerate() {
            let load = if kind == 'i' { "i32.load" } else { "i64.load" };
            write!(cases, " ({load} (i32.const {}))", 64 + (argument + 1) * 8).unwrap();
        }
        writeln!(cases, "))))").unwrap();
    }
    // Addresses 0 to 63 hold the buffer descriptions and results of the guest's own calls, the record follows.
    let wat = format!(
        r#"(module {imports}
        (memory (export "memory") {MEMORY_PAGES})
        (func $transfer (param $write i32) (param $pointer i32) (param $length i32) (result i32)
            (local $errno i32)
            (loop $again
                (i32.store (i32.const 0) (local.get $pointer))
                (i32.store (i32.const 4) (local.get $length))
                (if (local.get $write)
                    (then (local.set $errno
                        (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
                    (else (local.set $errno
                        (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
                (if (local.get $errno) (then (return (i32.const 0))))
                (if (i32.eqz (i32.load (i32.const 8))) (then (return (i32.eqz (local.get $length)))))
                (local.set $pointer (i32.add (local.get $pointer) (i32.load (i32.const 8))))
                (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
                (br_if $again (local.get $length)))
            (i32.const 1))
        (func (export "_start")
            (local $op i32) (local $result i32)
            (local $from i32) (local $to i32) (local $next_from i32) (local $next_to i32)
            (loop $next
                (if (i32.eqz (call $transfer (i32.const 0) (i32.const 64) (i32.const {RECORD_SIZE_BYTES})))
                    (then (return)))
                (local.set $op (i32.load (i32.const 64)))
                (local.set $result (i32.const 0))
                (if (i32.eq (local.get $op) (i32.const {PASS})) (then
                    (local.set $next_from (local.get $from))
                    (local.set $next_to (local.get $to))
                    ;; A script that was read by a call of its own leaves anything here.
                    (local.set $from (i32.and (i32.load (i32.const 72)) (i32.const 0x3fff8)))
                    (local.set $to (i32.and (i32.load (i32.const 80)) (i32.const 0xf8)))
                    (br $next)))
                (if (i32.lt_u (local.get $op) (i32.const {STORE})) (then
                    (if (local.get $to) (then (i64.store (local.get $to) (i64.load (local.get $from)))))
                    (if (local.get $next_to) (then
                        (i64.store (local.get $next_to) (i64.load (local.get $next_from)))))
                    (local.set $to (i32.const 0))
                    (local.set $next_to (i32.const 0))))
                (if (i32.eq (local.get $op) (i32.const {STORE})) (then
                    (drop (call $transfer (i32.const 0) (i32.load (i32.const 72)) (i32.load (i32.const 80))))
                    (br $next)))
                (if (i32.eq (local.get $op) (i32.const {LOAD})) (then
                    (drop (call $transfer (i32.const 1) (i32.load (i32.const 72)) (i32.load (i32.const 80))))
                    (br $next)))
                (if (i32.eq (local.get $op) (i32.const {FAIL})) (then (unreachable)))
                {cases}
                (i32.store (i32.const 16) (local.get $result))
                (drop (call $transfer (i32.const 1) (i32.const 16) (i32.const 4)))
                (br $next))))"#
    );
    wat::parse_str(wat).unwrap()
}

/// Calls to be made by a guest, and what is to be read from its memory in between.
#[derive(Default)]
pub struct Script {
    bytes: Vec<u8>,
    answers: Vec<Expected>,
}

/// An answer that the guest is to give.
#[derive(Clone, Copy)]
struct Expected {
    length: usize,
    /// Of a call, and not of memory that is loaded.
    is_result: bool,
}

impl Script {
    pub fn call(&mut self, name: &str, arguments: &[u64]) -> &mut Script {
        let index = FUNCTIONS
            .iter()
            .position(|(function, _)| *function == name)
            .expect("a function of WASI");
        self.record(index as u64, arguments);
        self.answers.push(Expected {
            length: 4,
            is_result: true,
        });
        self
    }

    pub fn store(&mut self, address: u32, bytes: &[u8]) -> &mut Script {
        if !bytes.is_empty() {
            self.record(STORE, &[address.into(), bytes.len() as u64]);
            self.bytes.extend_from_slice(bytes);
        }
        self
    }

    pub fn load(&mut self, address: u32, length: u32) -> &mut Script {
        self.record(LOAD, &[address.into(), length.into()]);
        self.answers.push(Expected {
            length: length as usize,
            is_result: false,
        });
        self
    }

    /// Passes eight bytes of memory, such as an earlier call's result, to the next call as this argument. At most two
    /// arguments of a call can be passed this way.
    pub fn pass(&mut self, address: u32, argument: u32) -> &mut Script {
        self.record(PASS, &[address.into(), (64 + (u64::from(argument) + 1) * 8)]);
        self
    }

    fn record(&mut self, number: u64, arguments: &[u64]) {
        let mut record = [0; RECORD_SIZE_BYTES];
        for (slot, value) in record.chunks_mut(8).zip([number].iter().chain(arguments)) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        self.bytes.extend_from_slice(&record);
    }

    /// Opens a path below the first directory; the descriptor will be where the path was.
    pub fn open(&mut self, path: &str, open_flags: u64, rights: u64, fd_flags: u64) -> &mut Script {
        self.open_with(3, path, open_flags, rights, fd_flags)
    }

    /// Opens a path below a directory.
    pub fn open_at(&mut self, fd: u64, path: &str, open_flags: u64, rights: u64) -> &mut Script {
        self.open_with(fd, path, open_flags, rights, 0)
    }

    fn open_with(&mut self, fd: u64, path: &str, open_flags: u64, rights: u64, fd_flags: u64) -> &mut Script {
        self.store(SCRATCH, path.as_bytes());
        let length = path.len() as u64;
        let arguments = [
            fd,
            1,
            SCRATCH.into(),
            length,
            open_flags,
            rights,
            0,
            fd_flags,
            (SCRATCH + 0x8000).into(),
        ];
        self.call("path_open", &arguments)
    }

    pub fn write(&mut self, fd: u64, bytes: &[u8]) -> &mut Script {
        self.buffer(bytes.len() as u32).store(SCRATCH + 0x1000, bytes);
        self.call("fd_write", &[fd, SCRATCH.into(), 1, (SCRATCH + 8).into()])
    }

    /// Two answers: the error, and 4 bytes of count followed by the bytes.
    pub fn read(&mut self, fd: u64, length: u32) -> &mut Script {
        self.buffer(length);
        self.call("fd_read", &[fd, SCRATCH.into(), 1, (SCRATCH + 8).into()]);
        self.load(SCRATCH + 8, 4).load(SCRATCH + 0x1000, length)
    }

    /// Reads six bytes into a cleared buffer; returns which of the answers they will be.
    pub fn reads(&mut self, fd: u64) -> usize {
        self.store(SCRATCH + 0x1000, &[0; 6]).read(fd, 6);
        self.answer_count() - 1
    }

    /// The number of answers to what the script does so far.
    pub fn answer_count(&self) -> usize {
        self.answers.len()
    }

    fn buffer(&mut self, length: u32) -> &mut Script {
        let mut description = (SCRATCH + 0x1000).to_le_bytes().to_vec();
        description.extend_from_slice(&length.to_le_bytes());
        self.store(SCRATCH, &description)
    }

    /// Runs the script in a job, of which standard input and output are the script's.
    pub fn run(&self, job: impl FnOnce(Job) -> Job) -> Result<Output, Error> {
        INTERPRETER.run(job(Job::new(["guest"])).stdin(self.bytes.clone()))
    }

    /// Runs the script in a guest that then crashes.
    pub fn run_and_fail(&self, job: impl FnOnce(Job) -> Job) -> Result<Output, Error> {
        let mut script = Script {
            bytes: self.bytes.clone(),
            answers: Vec::new(),
        };
        script.record(FAIL, &[]);
        script.run(job)
    }

    /// As [`answers`](Script::answers), in a runtime of the interpreter that the test has made.
    pub fn answers_of(&self, runtime: &Runtime, job: impl FnOnce(Job) -> Job) -> Vec<Vec<u8>> {
        let job = job(Job::new(["guest"])).stdin(self.bytes.clone());
        self.cut(&runtime.run(job).expect("the guest ends by itself").stdout)
    }

    /// Runs the script and cuts its output into the answers: results as four bytes, and what was loaded.
    pub fn answers(&self, job: impl FnOnce(Job) -> Job) -> Vec<Vec<u8>> {
        self.cut(&self.run(job).expect("the guest ends by itself").stdout)
    }

    pub fn input(&self) -> &[u8] {
        &self.bytes
    }

    /// Cuts the output of a guest that came to the script's end: every answer is there and whole, and nothing else.
    pub fn cut(&self, output: &[u8]) -> Vec<Vec<u8>> {
        let expected: usize = self.answers.iter().map(|answer| answer.length).sum();
        assert_eq!(output.len(), expected, "bytes of {} answers", self.answers.len());
        self.whole(output).map(|(_, answer)| answer.to_vec()).collect()
    }

    /// The results of those calls that a guest made before it was ended: the ones that are whole.
    pub fn results<'a>(&'a self, output: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let answers = self.whole(output);
        answers.filter_map(|(is_result, answer)| is_result.then_some(answer))
    }

    fn whole<'a>(&'a self, output: &'a [u8]) -> impl Iterator<Item = (bool, &'a [u8])> {
        let mut rest = output;
        self.answers.iter().map_while(move |expected| {
            let (answer, after) = rest.split_at_checked(expected.length)?;
            rest = after;
            Some((expected.is_result, answer))
        })
    }
}

/// An answer that is a number of one to eight bytes. One that is missing is no number.
pub fn number(answer: &[u8]) -> u64 {
    assert!(!answer.is_empty(), "there is no answer");
    let mut bytes = [0; 8];
    bytes[..answer.len()].copy_from_slice(answer);
    u64::from_le_bytes(bytes)
}

/// A module that copies its input to its output.
pub const COPIER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start")
        (local $left i32) (local $at i32)
        (loop $more
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 65536))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
            (local.set $left (i32.load (i32.const 8)))
            (if (i32.eqz (local.get $left)) (then (return)))
            (local.set $at (i32.const 1024))
            (loop $rest
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $left))
                (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
                (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
                (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 8))))
                (br_if $rest (local.get $left)))
            (br $more))))"#;

/// A runtime for a module in text form.
pub fn runtime(wat: &str) -> Runtime {
    runtime_of(&Runtime::builder(), &wat::parse_str(wat).expect("the text is a module"))
}

/// A runtime for a module: by wasmtime, or by a pack where the variable AFMPEG_TEST_ENGINE is `pack`.
pub fn runtime_of(builder: &RuntimeBuilder, wasm: &[u8]) -> Runtime {
    if engine_is_pack() {
        return packs::runtime_of(builder, wasm);
    }
    builder.from_bytes(wasm).expect("the module is a program")
}

/// Cancels when it is dropped: a scope waits for the jobs of its threads, also where an assertion in it has failed.
pub struct Cancels<'a, const N: usize>(pub [&'a Cancellation; N]);

impl<const N: usize> Drop for Cancels<'_, N> {
    fn drop(&mut self) {
        self.0.iter().for_each(|cancellation| cancellation.cancel());
    }
}

pub fn engine_is_pack() -> bool {
    std::env::var_os("AFMPEG_TEST_ENGINE").is_some_and(|engine| engine == "pack")
}
