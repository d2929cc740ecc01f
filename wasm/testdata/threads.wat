;; A guest with threads. Its request is three numbers of four bytes: how many threads
;; it starts, how often each adds one to a number under a lock, and what else they do
;; (see $thread). It answers with the number.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "vivarium" "respond" (func $respond (param i32 i32 i32)))
  (import "vivarium" "thread_start" (func $start (param i32 i32) (result i32)))
  (import "vivarium" "thread_wait" (func $wait (param i32 i32 i64) (result i32)))
  (import "vivarium" "thread_wake" (func $wake (param i32 i32) (result i32)))
  (import "vivarium" "thread_yield" (func $yield (result i32)))
  (import "vivarium" "thread_locals" (func $locals (param i32 i32) (result i32)))
  (import "vivarium" "thread_interrupt" (func $interrupt (param i32) (result i32)))
  (memory (export "memory") 16)
  (global $sp (mut i32) (i32.const 65536))
  ;; At 0 the request, 16 the number, 20 the lock, 24 the threads that are left, 28 a
  ;; word of each thread's own and 32 its address; 40 what poll_oneoff is asked, 96 what
  ;; it answers; 256 the vector of fd_read.
  (data (i32.const 32) "\1c\00\00\00")
  (func (export "_initialize"))
  (func (export "vivarium_abi_version") (result i32) (i32.const 5))
  (func (export "vivarium_boot") (result i32) (i32.const 0))
  (func (export "vivarium_load") (result i32) (i32.const 0))
  (func (export "vivarium_preempt") (param i32))

  (func $lock
    (loop $again
      (if (i32.load (i32.const 20)) (then
        (drop (call $wait (i32.const 20) (i32.const 1) (i64.const -1)))
        (br $again))))
    (i32.store (i32.const 20) (i32.const 1)))
  (func $unlock
    (i32.store (i32.const 20) (i32.const 0))
    (drop (call $wake (i32.const 20) (i32.const 1))))

  ;; Sleeps for so many nanoseconds.
  (func $sleep (param $ns i64)
    (i64.store (i32.const 64) (local.get $ns))
    (drop (call $poll_oneoff (i32.const 40) (i32.const 96) (i32.const 1) (i32.const 128))))

  ;; Traps unless what this thread has for itself is its own.
  (func $check (param $t i32)
    (if (i32.ne (i32.load (i32.const 28)) (local.get $t)) (then unreachable))
    (if (i32.ne (global.get $sp) (i32.add (i32.const 131072) (local.get $t))) (then unreachable)))

  (func $thread (export "vivarium_thread") (param $t i32)
    (local $n i32) (local $value i32)
    (i32.store (i32.const 28) (local.get $t))
    (local.set $n (i32.load (i32.const 4)))
    (block $done (loop $again
      (br_if $done (i32.eqz (local.get $n)))
      (call $lock)
      (call $check (local.get $t))
      (local.set $value (i32.load (i32.const 16)))
      ;; 1: others run meanwhile. 2: so they do, while this one sleeps. 3: the tenth
      ;; traps. 4: all wait for ever. 5: the tenth computes without end.
      (if (i32.eq (i32.load (i32.const 8)) (i32.const 1)) (then (drop (call $yield))))
      (if (i32.eq (i32.load (i32.const 8)) (i32.const 2)) (then (call $sleep (i64.const 1000))))
      (if (i32.and (i32.eq (i32.load (i32.const 8)) (i32.const 3)) (i32.eq (local.get $t) (i32.const 10))) (then unreachable))
      (if (i32.eq (i32.load (i32.const 8)) (i32.const 4)) (then
        (drop (call $wait (i32.const 28) (local.get $t) (i64.const -1)))))
      (if (i32.and (i32.eq (i32.load (i32.const 8)) (i32.const 5)) (i32.eq (local.get $t) (i32.const 10))) (then
        (loop $forever (br $forever))))
      (call $check (local.get $t))
      (i32.store (i32.const 16) (i32.add (local.get $value) (i32.const 1)))
      (call $unlock)
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $again)))
    (i32.store (i32.const 24) (i32.sub (i32.load (i32.const 24)) (i32.const 1)))
    (drop (call $wake (i32.const 24) (i32.const 1))))

  (func (export "vivarium_invoke") (result i32)
    (local $n i32) (local $left i32)
    (i32.store (i32.const 256) (i32.const 0))
    (i32.store (i32.const 260) (i32.const 12))
    (drop (call $fd_read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 264)))
    (i32.store (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (i32.const 0))
    (i32.store (i32.const 24) (i32.load (i32.const 0)))
    (drop (call $locals (i32.const 32) (i32.const 1)))
    (i32.store (i32.const 28) (i32.const 0))
    (local.set $n (i32.load (i32.const 0)))
    (loop $again
      (if (local.get $n) (then
        (if (call $start (local.get $n) (i32.add (i32.const 131072) (local.get $n))) (then unreachable))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again))))
    (loop $again
      (local.set $left (i32.load (i32.const 24)))
      (if (local.get $left) (then
        (drop (call $wait (i32.const 24) (local.get $left) (i64.const -1)))
        (if (i32.load (i32.const 28)) (then unreachable))
        (if (i32.ne (global.get $sp) (i32.const 65536)) (then unreachable))
        (br $again))))
    (call $respond (i32.const 1) (i32.const 16) (i32.const 4))
    (i32.const 0)))
