;; Tail calls, which never run out of stack.
(module
  (type $fn (func (param i32) (result i32)))
  (table funcref (elem $spin))
  (func $count (export "count") (param $n i32) (param $sum i32) (result i32)
    (if (result i32) (local.get $n)
      (then (return_call $count (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $sum) (local.get $n))))
      (else (local.get $sum))))
  (func $forever (export "forever") (result i32) (return_call $forever))
  (func $spin (export "spin") (param $n i32) (result i32)
    (return_call_indirect (type $fn) (local.get $n) (i32.const 0)))
)
