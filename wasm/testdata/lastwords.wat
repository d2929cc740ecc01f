;; A guest that lets its time pass and has last words. Its request is two numbers of
;; four bytes: how the time passes (see vivarium_invoke), and what the last words do
;; (see vivarium_stacks).
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "vivarium" "respond" (func $respond (param i32 i32 i32)))
  (import "vivarium" "thread_start" (func $start (param i32 i32) (result i32)))
  (import "vivarium" "thread_wait" (func $wait (param i32 i32 i64) (result i32)))
  (import "vivarium" "thread_yield" (func $yield (result i32)))
  (memory (export "memory") 16)
  (global $sp (mut i32) (i32.const 65536))
  ;; At 0 the request, 16 a 0 to wait at, 40 what poll_oneoff is asked, 96 what it
  ;; answers, 256 a vector, 512 the last words, of which the last but one is a digit.
  (data (i32.const 512) "here 0\n")
  (func (export "_initialize"))
  (func (export "vivarium_abi_version") (result i32) (i32.const 5))
  (func (export "vivarium_boot") (result i32) (i32.const 0))
  (func (export "vivarium_load") (result i32) (i32.const 0))
  (func (export "vivarium_preempt") (param i32))

  (func $spin (loop $forever (br $forever)))
  (func $wait_forever (loop $forever
    (drop (call $wait (i32.const 16) (i32.const 0) (i64.const -1)))
    (br $forever)))
  (func $sleep_forever (loop $forever
    (i64.store (i32.const 64) (i64.const 3600000000000))
    (drop (call $poll_oneoff (i32.const 40) (i32.const 96) (i32.const 1) (i32.const 128)))
    (br $forever)))
  (func $recurse (param i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $pass (param $how i32)
    (if (i32.eq (local.get $how) (i32.const 0)) (then (call $spin)))
    (if (i32.eq (local.get $how) (i32.const 1)) (then (call $sleep_forever)))
    (if (i32.eq (local.get $how) (i32.const 2)) (then (call $wait_forever))))

  ;; 10 and more: a thread passes the time so, and the first one waits for it.
  (func (export "vivarium_thread") (param $how i32) (call $pass (local.get $how)))
  (func (export "vivarium_invoke") (result i32)
    (local $how i32)
    (i32.store (i32.const 256) (i32.const 0))
    (i32.store (i32.const 260) (i32.const 8))
    (drop (call $fd_read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 264)))
    (local.set $how (i32.load (i32.const 0)))
    (if (i32.ge_u (local.get $how) (i32.const 10)) (then
      (drop (call $start (i32.sub (local.get $how) (i32.const 10)) (i32.const 131072)))
      (call $wait_forever)))
    (call $pass (local.get $how))
    unreachable)

  (func (export "vivarium_stacks") (param $waiting i32)
    (local $what i32)
    (local.set $what (i32.load (i32.const 4)))
    (i32.store8 (i32.const 517) (i32.add (i32.const 48) (local.get $waiting)))
    (i32.store (i32.const 256) (i32.const 512))
    (i32.store (i32.const 260) (i32.const 7))
    (drop (call $fd_write (i32.const 2) (i32.const 256) (i32.const 1) (i32.const 264)))
    (if (i32.le_u (local.get $what) (i32.const 2)) (then (call $pass (local.get $what))))
    (if (i32.eq (local.get $what) (i32.const 3)) (then unreachable))
    (if (i32.eq (local.get $what) (i32.const 4)) (then (drop (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get $what) (i32.const 5)) (then (call $exit (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 6)) (then (call $respond (i32.const 0) (i32.const 0) (i32.const 4))))
    (if (i32.eq (local.get $what) (i32.const 7)) (then
      (drop (call $start (i32.const 0) (i32.const 196608)))
      (loop $forever (drop (call $yield)) (br $forever))))
    (if (i32.eq (local.get $what) (i32.const 8)) (then (loop $forever
      (drop (call $fd_write (i32.const 2) (i32.const 256) (i32.const 1) (i32.const 264)))
      (br $forever))))
    (if (i32.eq (local.get $what) (i32.const 9)) (then
      (global.set $sp (i32.const -1))
      (drop (memory.grow (i32.const 60000)))))))
