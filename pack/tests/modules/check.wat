(module
  (import "afmpeg" "check" (func $check (param i32 i64 f32 f64) (result f64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (f64.ne (f64.const 0.5) (call $check (i32.const -2) (i64.const -3) (f32.const 1.5) (f64.const 2.5)))
      (then unreachable))))
