(module
  (memory (export "memory") 1)
  (table 3 funcref)
  (type $none (func))
  (func (export "_start") (call_indirect (type $none) (i32.const 3))))
