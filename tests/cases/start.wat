;; A start function that runs before anything else: it sets globals, memory and the table.
;;! call started => 1
;;! call table_filled 0 => 10
;;! call table_filled 3 => 40
;;! call memory_filled => 5050
;;! call calls => 101
(module
  (type $constant (func (result i32)))
  (memory 1)
  (table $t 4 funcref)
  (elem $functions func $ten $twenty $thirty $forty)
  (global $started (mut i32) (i32.const 0))
  (global $calls (mut i32) (i32.const 0))
  (start $begin)

  (func $ten (result i32) (i32.const 10))
  (func $twenty (result i32) (i32.const 20))
  (func $thirty (result i32) (i32.const 30))
  (func $forty (result i32) (i32.const 40))

  (func $begin
    (local $i i32)
    (global.set $started (i32.add (global.get $started) (i32.const 1)))
    (table.init $t $functions (i32.const 0) (i32.const 0) (i32.const 4))
    (loop $top
      (call $store (local.get $i))
      (br_if $top (i32.le_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))))

  (func $store (param $i i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $i)))

  (func $started (export "started") (result i32) (global.get $started))
  (func $calls (export "calls") (result i32) (global.get $calls))
  (func $table_filled (export "table_filled") (param $i i32) (result i32)
    (call_indirect $t (type $constant) (local.get $i)))
  (func $memory_filled (export "memory_filled") (result i32)
    (local $i i32) (local $sum i32)
    (loop $top
      (local.set $sum (i32.add (local.get $sum) (i32.load (i32.shl (local.get $i) (i32.const 2)))))
      (br_if $top (i32.le_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (local.get $sum)))
