;; Element segments of all forms. The imported function keeps its index, all others move.
(module
  (type $fn (func (result i32)))
  (import "env" "seven" (func $seven (result i32)))
  (table $t0 20 funcref)
  (table $t1 10 funcref)
  (global $ref funcref (ref.func $one))
  (elem (i32.const 0) $seven $one $two)                           ;; 0: table 0, indices
  (elem $passive func $one $two)                                  ;; 1: passive, indices
  (elem (table $t1) (i32.const 0) func $two $one)                 ;; 2: another table, indices
  (elem declare func $three)                                      ;; 3: declared
  (elem (i32.const 3) funcref (ref.func $two) (ref.null func))    ;; 4: table 0, expressions
  (elem $exprs funcref (ref.func $three) (ref.func $seven))       ;; 5: passive, expressions
  (elem (table $t1) (i32.const 2) funcref (ref.func $three))      ;; 6: another table, expressions
  (elem declare funcref (ref.func $two) (ref.null func))          ;; 7: declared, expressions
  (func $one (export "one") (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func $three (result i32) (i32.const 3))
  (func (export "init")
    (table.init $t0 $passive (i32.const 10) (i32.const 0) (i32.const 2))
    (table.init $t0 $exprs (i32.const 12) (i32.const 0) (i32.const 2))
    (elem.drop $passive)
    (table.set $t0 (i32.const 14) (ref.func $three))
    (table.set $t0 (i32.const 15) (global.get $ref))
    (table.copy $t0 $t1 (i32.const 16) (i32.const 0) (i32.const 3)))
  (func (export "call") (param $i i32) (result i32) (call_indirect $t0 (type $fn) (local.get $i)))
)
