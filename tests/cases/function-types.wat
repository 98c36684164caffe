;; Functions of types that differ only in what their references refer to, called as one another.
;;! call by_nullable 0 => 1
;;! call by_nullable 1 => trap indirect call type mismatch in by_nullable at p1
;;! call by_nullable 2 => trap indirect call type mismatch in by_nullable at p1
;;! call by_nullable 3 => trap indirect call type mismatch in by_nullable at p1
;;! call by_non_null 0 => trap indirect call type mismatch in by_non_null at p1
;;! call by_non_null 1 => 2
;;! call by_non_null 4 => 2
;;! call by_any 2 => 3
;;! call by_any 0 => trap indirect call type mismatch in by_any at p1
;;! call by_result 5 => 0
;;! call by_result 6 => trap indirect call type mismatch in by_result at p1
;;! call by_nested 7 => 8
;;! call by_nested 8 => trap indirect call type mismatch in by_nested at p1
;;! call in_tail_position 0 => 1
;;! call in_tail_position 1 => trap indirect call type mismatch in in_tail_position at p1
(module
  (type $i (func (result i32)))
  (type $f (func (result f32)))
  (type $nullable (func (param (ref null $i)) (result i32)))
  (type $non_null (func (param (ref $i)) (result i32)))
  (type $any (func (param funcref) (result i32)))
  (type $float (func (param (ref null $f)) (result i32)))
  ;; The same type as `$non_null`.
  (type $again (func (param (ref $i)) (result i32)))
  (type $nothing (func (result (ref null $f))))
  (type $null (func (result (ref null $i))))
  (type $of_nullable (func (param (ref null $nullable)) (result i32)))
  (type $of_any (func (param (ref null $any)) (result i32)))
  (table $t funcref (elem
    $nullable $non_null $any $float $again $nothing $null $of_nullable $of_any))
  (elem declare func $one)
  (func $one (type $i) (i32.const 1))
  (func $nullable (type $nullable) (i32.const 1))
  (func $non_null (type $non_null) (i32.const 2))
  (func $any (type $any) (i32.const 3))
  (func $float (type $float) (i32.const 4))
  (func $again (type $again) (call_ref $i (local.get 0)) (i32.const 1) (i32.add))
  (func $nothing (type $nothing) (ref.null $f))
  (func $null (type $null) (ref.null $i))
  (func $of_nullable (type $of_nullable) (i32.const 8))
  (func $of_any (type $of_any) (i32.const 9))

  (func (export "by_nullable") (param i32) (result i32)
    (call_indirect (type $nullable) (ref.null $i) (local.get 0)))
  (func (export "by_non_null") (param i32) (result i32)
    (call_indirect (type $non_null) (ref.func $one) (local.get 0)))
  (func (export "by_any") (param i32) (result i32)
    (call_indirect (type $any) (ref.null func) (local.get 0)))
  (func (export "by_result") (param i32) (result i32)
    (i32.eqz (ref.is_null (call_indirect (type $nothing) (local.get 0)))))
  (func (export "by_nested") (param i32) (result i32)
    (call_indirect (type $of_nullable) (ref.null $nullable) (local.get 0)))
  (func (export "in_tail_position") (param i32) (result i32)
    (return_call_indirect (type $nullable) (ref.null $i) (local.get 0))))
