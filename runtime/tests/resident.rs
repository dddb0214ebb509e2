//! What jobs take of this process's memory. A file of its own, as the process is what is measured.

#![cfg(target_os = "linux")]

mod support;

use afmpeg::{Job, MemoryFs};
use std::sync::Arc;
use support::runtime;

fn resident_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_input_in_memory_is_not_copied() {
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
