;; References to functions of a known type: calls of them, also as tail calls, and branches on null.
;;! call twice 5 => 20
;;! call through_null => trap null reference in through_null at p1
;;! call chosen 0 7 => trap null reference in chosen at p2
;;! call chosen 1 7 => 14
;;! call chosen 2 7 => 49
;;! call or_else 0 => -1
;;! call or_else 1 => 20
;;! call or_else 2 => 100
;;! call non_null 0 => -1
;;! call non_null 2 => 121
;;! call counted 1000 => 2000
;;! call nested 6 => 110
;;! call local 3 => 9
;;! call table_of 0 => 81
;;! call table_of 2 => 81
(module
  (type $unary (func (param i32) (result i32)))
  (type $count (func (param i32 i32) (result i32)))
  (elem declare func $double $square $count)
  (global $double (ref $unary) (ref.func $double))
  (table $filled 3 (ref null $unary) (ref.func $square))

  (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))

  (func (export "twice") (param $n i32) (result i32)
    (call_ref $unary (call_ref $unary (local.get $n) (global.get $double)) (global.get $double)))

  (func (export "through_null") (result i32)
    (call_ref $unary (i32.const 1) (ref.null $unary)))

  ;; Null for 0, `double` for 1, else `square`.
  (func $pick (param $which i32) (result (ref null $unary))
    (if (i32.eqz (local.get $which)) (then (return (ref.null $unary))))
    (select (result (ref null $unary)) (ref.func $double) (ref.func $square)
      (i32.eq (local.get $which) (i32.const 1))))

  (func (export "chosen") (param $which i32) (param $n i32) (result i32)
    (call_ref $unary (local.get $n) (call $pick (local.get $which))))

  (func (export "or_else") (param $which i32) (result i32)
    (block $null
      (i32.const 10)
      (br_on_null $null (call $pick (local.get $which)))
      (return (call_ref $unary)))
    (i32.const -1))

  (func (export "non_null") (param $which i32) (result i32)
    (local $f (ref $unary))
    (local.set $f (block $found (result (ref $unary))
      (br_on_non_null $found (call $pick (local.get $which)))
      (return (i32.const -1))))
    (call_ref $unary (i32.const 11) (local.get $f)))

  ;; The stack does not grow.
  (func $count (type $count)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_ref $count
      (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 2)) (ref.func $count)))
  (func (export "counted") (param $n i32) (result i32)
    (return_call_ref $count (local.get $n) (i32.const 0) (ref.func $count)))

  ;; A call of a reference among the arguments of another.
  (func (export "nested") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $top
      (local.set $sum (i32.add (local.get $sum)
        (call_ref $unary
          (call_ref $unary (local.get $i) (ref.func $square))
          (ref.as_non_null (call $pick (i32.const 1))))))
      (br_if $top (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; A local that is never null.
  (func (export "local") (param $n i32) (result i32)
    (local $f (ref $unary))
    (local.set $f (ref.func $square))
    (call_ref $unary (local.get $n) (local.get $f)))

  (func (export "table_of") (param $index i32) (result i32)
    (call_ref $unary (i32.const 9) (table.get $filled (local.get $index)))))
