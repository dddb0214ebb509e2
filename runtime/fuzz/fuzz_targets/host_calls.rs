//! Host calls with any pointers, lengths, descriptors and paths.

#![no_main]

#[path = "../../tests/support/hostile_calls.rs"]
mod hostile_calls;
#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile_calls::run(data));
