;; A guest that does what the first byte of its request says. The rest of the
;; request is what it works on.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "vivarium" "respond" (func $respond (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global $count (mut i32) (i32.const 0))
  (global $booted (mut i64) (i64.const 0))
  (data (i32.const 64) "booted")

  (func (export "_initialize"))
  (func (export "vivarium_abi_version") (result i32) (i32.const 5))
  (func (export "vivarium_boot") (result i32)
    (global.set $booted (i64.const 1))
    (i32.const 0))

  ;; Reads stdin to its end, to 1024. Returns the length.
  (func $read (result i32) (local $n i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 60000))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))

  (func $recurse (param i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get 0) (i32.const 1)))))

  (func $act (export "vivarium_invoke") (result i32) (local $n i32) (local $op i32)
    (local.set $n (call $read))
    (local.set $op (i32.load8_u (i32.const 1024)))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.eq (local.get $op) (i32.const 0x65)) ;; e: echo
      (then (call $respond (i32.const 0) (i32.const 1025) (i32.sub (local.get $n) (i32.const 1)))))
    (if (i32.eq (local.get $op) (i32.const 0x63)) ;; c: how many calls so far, as one byte
      (then
        (i32.store8 (i32.const 512) (i32.add (i32.const 0x30) (global.get $count)))
        (call $respond (i32.const 0) (i32.const 512) (i32.const 1))))
    (if (i32.eq (local.get $op) (i32.const 0x6d)) ;; m: append a byte to memory at 256.., respond with all of it
      (then
        (i32.store8 (i32.add (i32.const 256) (i32.load (i32.const 252))) (i32.load8_u (i32.const 1025)))
        (i32.store (i32.const 252) (i32.add (i32.const 1) (i32.load (i32.const 252))))
        (call $respond (i32.const 0) (i32.const 256) (i32.load (i32.const 252)))))
    (if (i32.eq (local.get $op) (i32.const 0x64)) ;; d: the data segment
      (then (call $respond (i32.const 0) (i32.const 64) (i32.const 6))))
    (if (i32.eq (local.get $op) (i32.const 0x74)) (then (unreachable))) ;; t: trap
    (if (i32.eq (local.get $op) (i32.const 0x73)) (then (loop $spin (br $spin)))) ;; s: spin
    (if (i32.eq (local.get $op) (i32.const 0x72)) (then (drop (call $recurse (i32.const 0))))) ;; r: recurse
    (if (i32.eq (local.get $op) (i32.const 0x78)) (then (call $proc_exit (i32.const 3)))) ;; x: exit
    (if (i32.eq (local.get $op) (i32.const 0x6f)) ;; o: a response out of bounds
      (then (call $respond (i32.const 0) (i32.const 0xfffffff0) (i32.const 0x7fffffff))))
    (if (i32.eq (local.get $op) (i32.const 0x75)) ;; u: an unknown status
      (then (call $respond (i32.const 0) (i32.const 0) (i32.const 0)) (return (i32.const 7))))
    (if (i32.eq (local.get $op) (i32.const 0x31)) ;; 1: spent
      (then (call $respond (i32.const 2) (i32.const 64) (i32.const 6)) (return (i32.const 1))))
    (if (i32.eq (local.get $op) (i32.const 0x67)) ;; g: grow page by page; respond with the size in pages, 4 bytes
      (then
        (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
        (i32.store (i32.const 512) (memory.size))
        (call $respond (i32.const 0) (i32.const 512) (i32.const 4))))
    (if (i32.eq (local.get $op) (i32.const 0x47)) ;; G: grow until refused, then trap
      (then
        (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
        (unreachable)))
    (if (i32.eq (local.get $op) (i32.const 0x77)) ;; w: write the rest to stdout, then to stderr
      (then
        (i32.store (i32.const 0) (i32.const 1025))
        (i32.store (i32.const 4) (i32.sub (local.get $n) (i32.const 1)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $respond (i32.const 0) (i32.const 0) (i32.const 0))))
    (if (i32.eq (local.get $op) (i32.const 0x61)) ;; a: eight random bytes and the wall clock
      (then
        (drop (call $random_get (i32.const 512) (i32.const 8)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 520)))
        (call $respond (i32.const 0) (i32.const 512) (i32.const 16))))
    (if (i32.eq (local.get $op) (i32.const 0x7a)) ;; z: sleep for an hour
      (then
        (memory.fill (i32.const 2048) (i32.const 0) (i32.const 48))
        (i32.store (i32.const 2064) (i32.const 1)) ;; the monotonic clock
        (i64.store (i32.const 2072) (i64.const 3600000000000))
        (drop (call $poll_oneoff (i32.const 2048) (i32.const 4096) (i32.const 1) (i32.const 8192)))
        (call $respond (i32.const 0) (i32.const 0) (i32.const 0))))
    (if (i32.eq (local.get $op) (i32.const 0x52)) ;; R: a response of one page more than 1 MiB
      (then
        (drop (memory.grow (i32.const 32)))
        (call $respond (i32.const 0) (i32.const 0) (i32.const 1114112))))
    ;; anything else gives no response
    (i32.const 0))

  (func (export "vivarium_load") (result i32) (call $act)))
