;; Active segments that overlap, and passive ones between them that keep their indices.
(module
  (memory (export "memory") 1 4)
  (data (i32.const 8) "aaaaaaaa")
  (data $passive "passive")
  (data (i32.const 12) "bb")
  (data (i32.const 65535) "z")
  (data (i32.const 20) "")
  (data (i32.const 11) "c")
  (func (export "init") (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 7)) (data.drop $passive))
  (func (export "gone") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))
)
