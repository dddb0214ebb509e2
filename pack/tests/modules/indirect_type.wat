(module
  (memory (export "memory") 1)
  (table 3 funcref) (elem (i32.const 1) $one)
  (type $none (func))
  (func $one (param i32) (result i32) (local.get 0))
  (func (export "_start") (call_indirect (type $none) (i32.const 1))))
