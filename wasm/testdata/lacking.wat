;; A guest that lacks most of the ABI.
(module
  (memory (export "memory") 1)
  (func (export "_initialize"))
  (func (export "vivarium_abi_version") (result i32) (i32.const 5))
  (func (export "vivarium_boot") (param i32) (result i32) (i32.const 0)))
