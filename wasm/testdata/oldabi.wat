;; A guest of another ABI version.
(module
  (memory (export "memory") 1)
  (func (export "_initialize"))
  (func (export "vivarium_abi_version") (result i32) (i32.const 99))
  (func (export "vivarium_boot") (result i32) (i32.const 0))
  (func (export "vivarium_load") (result i32) (i32.const 0))
  (func (export "vivarium_invoke") (result i32) (i32.const 0)))
