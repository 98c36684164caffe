;; N indirect calls. Call number i is of entry `i and MASK` of a table: of one function (MASK 0), of two by turns (1), or of
;; four (3); indirect-calls.wasm is the same, assembled. After V8's measurement of speculative inlining for WebAssembly (2025), whose loop makes 200 million calls.
;;
;;   osr-bench run tests/programs/speculation/indirect-calls.wat 200000000 0
;;   osr-bench run tests/programs/speculation/indirect-calls.wat 200000000 0 --inline on --speculate call-target
;;   osr-bench run tests/programs/speculation/indirect-calls.wat 200000000 0 --inline on --speculate only-targets
(module
  (type $step (func (param i32) (result i32)))
  (table 4 4 funcref)
  (elem (i32.const 0) $add $mix $negate $shift)
  (func $add (type $step) (i32.add (local.get 0) (i32.const 7)))
  (func $mix (type $step) (i32.xor (local.get 0) (i32.const 0x5bd1e995)))
  (func $negate (type $step) (i32.sub (i32.const 0) (local.get 0)))
  (func $shift (type $step) (i32.rotl (local.get 0) (i32.const 5)))
  (func (export "run") (param $n i32) (param $mask i32) (result i32) (local $value i32)
    (loop $next
      (local.set $value
        (call_indirect (type $step) (local.get $value) (i32.and (local.get $n) (local.get $mask))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $value)))
