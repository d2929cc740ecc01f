;; Loops and branches of all shapes. Each function is called with small numbers and must give what it gave before.
(module
  (type $bin (func (param i32 i32) (result i32)))
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))

  ;; the sum of i*j for i, j < n
  (func (export "nested") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $j (i32.const 0))
        (block $next
          (loop $inner
            (br_if $next (i32.ge_u (local.get $j) (local.get $n)))
            (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br $inner)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $outer)))
    (local.get $sum))

  ;; factorial, with the state on the operand stack: a loop with parameters
  (func (export "params") (param $n i32) (result i32)
    (i32.const 1) (local.get $n)
    (loop (type $bin)
      (local.set $n)
      (i32.mul (local.get $n))
      (i32.sub (local.get $n) (i32.const 1))
      (local.tee $n)
      (br_if 0 (i32.gt_s (local.get $n) (i32.const 1)))
      (drop)))

  ;; from within two loops to everywhere
  (func (export "table") (param $n i32) (result i32)
    (local $i i32) (local $r i32)
    (block $out
      (loop $a
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $out (i32.gt_u (local.get $i) (i32.const 40)))
        (block $b
          (loop $c
            (local.set $r (i32.add (i32.mul (local.get $r) (i32.const 3)) (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $out (i32.gt_u (local.get $i) (i32.const 40)))
            (br_table $a $b $c $out $b (i32.rem_u (i32.add (local.get $r) (local.get $n)) (i32.const 6)))))
        (local.set $r (i32.xor (local.get $r) (i32.const 0x55)))
        (br_if $a (i32.eqz (i32.and (local.get $r) (i32.const 8))))
        (br_if $a (i64.eqz (i64.and (i64.extend_i32_u (local.get $r)) (i64.const 4))))))
    (local.get $r))

  ;; leaves a loop with a value
  (func (export "value") (param $n i32) (result i32)
    (block $found (result i32)
      (loop $l (result i32)
        (local.set $n (i32.add (local.get $n) (i32.const 7)))
        (drop (br_if $found (local.get $n) (i32.eqz (i32.rem_u (local.get $n) (i32.const 13)))))
        (br $l))))

  ;; every comparison before a branch
  (func (export "compare") (param $a i32) (param $b i32) (result i32)
    (local $r i32) (local $x i64) (local $y i64)
    (local.set $x (i64.extend_i32_s (local.get $a)))
    (local.set $y (i64.extend_i32_s (local.get $b)))
    (block (br_if 0 (i32.eqz (local.get $a))) (local.set $r (i32.or (local.get $r) (i32.const 0x1))))
    (block (br_if 0 (i32.eq (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x2))))
    (block (br_if 0 (i32.ne (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x4))))
    (block (br_if 0 (i32.lt_s (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x8))))
    (block (br_if 0 (i32.lt_u (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x10))))
    (block (br_if 0 (i32.gt_s (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x20))))
    (block (br_if 0 (i32.gt_u (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x40))))
    (block (br_if 0 (i32.le_s (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x80))))
    (block (br_if 0 (i32.le_u (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x100))))
    (block (br_if 0 (i32.ge_s (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x200))))
    (block (br_if 0 (i32.ge_u (local.get $a) (local.get $b))) (local.set $r (i32.or (local.get $r) (i32.const 0x400))))
    (block (br_if 0 (i64.eqz (local.get $x))) (local.set $r (i32.or (local.get $r) (i32.const 0x800))))
    (block (br_if 0 (i64.eq (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x1000))))
    (block (br_if 0 (i64.ne (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x2000))))
    (block (br_if 0 (i64.lt_s (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x4000))))
    (block (br_if 0 (i64.lt_u (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x8000))))
    (block (br_if 0 (i64.gt_s (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x10000))))
    (block (br_if 0 (i64.gt_u (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x20000))))
    (block (br_if 0 (i64.le_s (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x40000))))
    (block (br_if 0 (i64.le_u (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x80000))))
    (block (br_if 0 (i64.ge_s (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x100000))))
    (block (br_if 0 (i64.ge_u (local.get $x) (local.get $y))) (local.set $r (i32.or (local.get $r) (i32.const 0x200000))))
    (local.get $r))

  (func $fib (export "fib") (param $n i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                     (call $fib (i32.sub (local.get $n) (i32.const 2)))))))

  ;; calls an import, whose index stays, and counts the calls of fib
  (func (export "imported") (param $n i32) (result i32)
    (i32.add (call $twice (local.get $n)) (global.get $calls)))

  ;; many locals, with groups
  (func (export "locals") (param $n i32) (result i32)
    (local i64 i64 f32) (local $sum i32) (local $x f64)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (local.set $x (f64.add (local.get $x) (f64.const 0.5)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $l (i32.gt_s (local.get $n) (i32.const 0))))
    (i32.add (local.get $sum) (i32.trunc_sat_f64_s (local.get $x))))
)
