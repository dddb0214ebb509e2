//! Arguments that were made wider are passed as before.

use afmpeg::{Job, Runtime};
use xtask::wasm::module::Module;
use xtask::wasm::widen::widen;

/// Calls a function with arguments in memory directly and through a pointer, the latter with one that is negative, and
/// ends with a code that depends on each of them.
const MODULE: &str = r#"(module
    (type $long (func (param i32 i32 f64 i32 i32 i32 i64 i32 f32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $imported (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (table 2 funcref)
    (elem (i32.const 1) $long)
    (func $long (type $long) (local i32)
        (local.set 10 (i32.const 7))
        (local.set 5 (i32.add (local.get 5) (local.get 10)))
        (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.add (local.get 1) (i32.add (i32.trunc_f64_s (local.get 2))
        (i32.add (local.get 3) (i32.add (local.get 4) (i32.add (i32.mul (local.get 5) (i32.const 5))
        (i32.add (i32.wrap_i64 (local.get 6)) (i32.add (i32.mul (local.get 7) (i32.const 2))
        (i32.sub (i32.trunc_f32_s (local.get 8)) (local.get 9)))))))))))
    (func $few (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "_start") (local i32)
        (drop (call $imported (i32.const 9) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 8)))
        (local.set 0 (call $long (i32.const 1) (i32.const 2) (f64.const 3) (i32.const 4) (i32.const 5)
            (i32.const 6) (i64.const 7) (i32.const 8) (f32.const 9) (i32.const 10)))
        (call $exit (call $few (call_indirect (type $long) (local.get 0) (i32.const 2) (f64.const 3) (i32.const 4)
            (i32.const 5) (i32.const -60) (i64.const 7) (i32.const 8) (f32.const 9) (i32.const -10) (i32.const 1))))))"#;

#[test]
fn a_module_does_the_same_with_wide_arguments() {
    let data = wat::parse_str(MODULE).unwrap();
    let wide = widen(&Module::parse(&data).unwrap()).unwrap();
    wasmparser::validate(&wide).unwrap();
    let exit_code = |data: &[u8]| {
        let runtime = Runtime::from_bytes(data).unwrap();
        runtime.run(Job::new(["program"])).unwrap().exit_code
    };
    // 3 * (3 + 2 + 3 + 4 + 5 + 5 * 13 + 7 + 16 + 9 - 10) + 2 + 3 + 4 + 5 - 5 * 53 + 7 + 16 + 9 + 10, and one.
    assert_eq!(exit_code(&data), 104);
    assert_eq!(exit_code(&wide), 104);

    let module = Module::parse(&wide).unwrap();
    let long = module.signature(module.type_of(module.function("long").unwrap()).unwrap());
    let long: Vec<String> = long.unwrap().params().iter().map(ToString::to_string).collect();
    assert_eq!(long.join(" "), "i32 i32 f64 i32 i32 i64 i64 i64 f32 i64");
    let imported = module.signature(module.type_of(module.function("imported").unwrap()).unwrap());
    assert_eq!(imported.unwrap().params().last(), Some(&wasmparser::ValType::I32));
}

#[test]
fn what_others_call_must_stay_as_it_is() {
    let refused = |text: &str| {
        let data = wat::parse_str(text).unwrap();
        format!("{:#}", widen(&Module::parse(&data).unwrap()).unwrap_err())
    };
    let exported = refused(r#"(module (func (export "five") (param i32 i32 i32 i32 i32)))"#);
    assert!(exported.contains("exports five"), "{exported}");
    let taken = refused(
        r#"(module (import "host" "five" (func $five (param i32 i32 i32 i32 i32)))
            (table 1 funcref) (elem (i32.const 0) $five) (func (param i32 i32 i32 i32 i32)))"#,
    );
    assert!(taken.contains("imported function five"), "{taken}");
}
