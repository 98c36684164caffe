;; Operands that wait on the stack while calls, branches and loops happen above them.
;;! call arguments_are_calls 3 => 88492
;;! call under_calls 4 => 262.5
;;! call under_recursion 10 => 3652040
;;! call order 0 => 1234
;;! call old_local 5 => 5 6
;;! call tee_chain 3 => -1409
;;! call branch_discards 1 => 7
;;! call branch_discards 0 => 63
;;! call if_above 1 => 111
;;! call if_above 0 => 211
;;! call polynomial 2.5 => 23.327847075210475
(module
  (global $log (mut i32) (i32.const 0))

  (func $f (param $a i32) (param $b i32) (param $c i32) (result i32)
    (i32.add (i32.mul (local.get $a) (local.get $b)) (local.get $c)))
  (func $g (param $a i32) (result i32) (i32.xor (local.get $a) (i32.const 85)))

  (func $arguments_are_calls (export "arguments_are_calls") (param $x i32) (result i32)
    (call $f
      (call $f (call $g (local.get $x)) (call $g (call $g (local.get $x))) (local.get $x))
      (call $f (local.get $x) (call $g (i32.const 1)) (call $g (i32.const 2)))
      (call $g (call $f (i32.const 1) (i32.const 2) (call $g (local.get $x))))))

  ;; Ten operands of four types wait below a call.
  (func $under_calls (export "under_calls") (param $x i32) (result f64)
    (f64.const 0.5)
    (f64.convert_i32_s (local.get $x))
    (f32.convert_i32_s (local.get $x))
    (i64.extend_i32_s (local.get $x))
    (i64.const 100)
    (f64.convert_i32_s (call $g (local.get $x)))
    (i32.const 3)
    (local.get $x)
    (i32.mul (local.get $x) (local.get $x))
    (f32.const 2.25)
    (drop (call $g (i32.const 9)))
    i32.trunc_f32_s
    call $f
    i32.add
    f64.convert_i32_s
    f64.add
    i64.trunc_f64_s
    i64.add i64.add
    f32.convert_i64_s
    f32.add
    f64.promote_f32
    f64.add f64.add)

  (func $under_recursion (export "under_recursion") (param $n i32) (result i64)
    (if (i32.eqz (local.get $n)) (then (return (i64.const 1))))
    (i64.extend_i32_s (local.get $n))
    (i64.const 10)
    (i64.mul (i64.extend_i32_s (local.get $n)) (i64.extend_i32_s (local.get $n)))
    (call $under_recursion (i32.sub (local.get $n) (i32.const 1)))
    (i64.rem_s (i64.const 1000003))
    i64.add i64.mul i64.add)

  (func $note (param $digit i32) (result i32)
    (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get $digit)))
    (local.get $digit))
  ;; Operands are computed from left to right.
  (func $order (export "order") (param $x i32) (result i32)
    (global.set $log (i32.const 0))
    (drop
      (i32.sub
        (i32.mul (call $note (i32.const 1)) (call $note (i32.const 2)))
        (i32.add (call $note (i32.const 3)) (call $note (i32.const 4)))))
    (global.get $log))

  ;; The operand is the local's value of then, not of now.
  (func $old_local (export "old_local") (param $x i32) (result i32 i32)
    (local.get $x)
    (local.set $x (i32.add (local.get $x) (i32.const 1)))
    (drop (call $g (local.get $x)))
    (local.get $x))

  (func $tee_chain (export "tee_chain") (param $x i32) (result i32)
    (local $a i32) (local $b i32)
    (i32.add
      (local.tee $a (local.tee $b (i32.mul (local.get $x) (i32.const 5))))
      (i32.sub
        (local.tee $a (i32.add (local.get $a) (i32.const 1)))
        (i32.mul (local.get $a) (local.tee $b (call $g (local.get $b)))))))

  (func $branch_discards (export "branch_discards") (param $x i32) (result i32)
    (block $out (result i32)
      (i32.const 1) (i32.const 2) (f64.const 3) (i32.const 50)
      (i32.const 7)
      (br_if $out (local.get $x))
      (i32.add)
      (i32.add (i32.trunc_f64_s (f64.const 3.5)))
      (local.set $x)
      (drop)
      (i32.add)
      (i32.add (local.get $x))))

  (func $if_above (export "if_above") (param $x i32) (result i32)
    (i32.const 10)
    (i32.const 1)
    (if (result i32) (local.get $x)
      (then (call $f (i32.const 10) (i32.const 10) (i32.const 0)))
      (else (call $f (i32.const 10) (i32.const 20) (i32.const 0))))
    i32.add i32.add)

  (func $polynomial (export "polynomial") (param $x f64) (result f64)
    (f64.add
      (f64.mul (f64.mul (local.get $x) (local.get $x)) (f64.const 3))
      (f64.sub
        (f64.mul (local.get $x) (f64.sqrt (f64.abs (local.get $x))))
        (f64.div (f64.neg (local.get $x)) (f64.const 4))))))
