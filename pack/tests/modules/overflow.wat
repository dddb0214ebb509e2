(module
  (memory (export "memory") 1)
  (func (export "_start")
    (i64.store (i32.const 0) (i64.div_s (i64.const 0x8000000000000000) (i64.sub (i64.load (i32.const 0)) (i64.const 1))))))
