;; Tables of funcref: get, set, size, grow, fill, copy, init, elem.drop, and their traps.
;; Each function sets what it reads; $grows is the only table that grows.
;;! call get_null 0 => 1
;;! call get_null 3 => 0
;;! call get_null 10 => trap out of bounds table access in get_null at p3
;;! call get_null -1 => trap out of bounds table access in get_null at p3
;;! call set_and_call 2 => 11
;;! call set_and_call 9 => 11
;;! call set_and_call 10 => trap out of bounds table access in set_and_call at p1
;;! call set_null_and_call 3 => trap uninitialized element in at at p1
;;! call size => 10
;;! call grow 2 => 2 11
;;! call grow 0 => 0 11
;;! call grow 1000 => 0 11
;;! call fill 4 3 => 33
;;! call fill 4 6 => 66
;;! call fill 4 7 => trap out of bounds table access in fill at p1
;;! call fill 10 0 => 0
;;! call fill 11 0 => trap out of bounds table access in fill at p1
;;! call copy_up => 11 11 22 33
;;! call copy_down => 22 33 33 44
;;! call copy_across => 33
;;! call copy 0 5 6 => trap out of bounds table access in copy at p1
;;! call copy 5 0 6 => trap out of bounds table access in copy at p1
;;! call copy 10 10 0 => 0
;;! call init 0 1 => 22
;;! call init 9 2 => trap out of bounds table access in init at p1
;;! call init 0 4 => trap out of bounds table access in init at p1
;;! call init_null => 1
;;! call init_dropped 0 => 0
;;! call init_dropped 1 => trap out of bounds table access in init_dropped at p3
;;! call init_active => trap out of bounds table access in init_active at p1
;;! call rewired_loop 9 => 124487
(module
  (type $constant (func (result i32)))
  (table $t (export "table") 10 10 funcref)
  (table $grows 1 8 funcref)
  (table $other 4 funcref)
  (elem $active (table $t) (i32.const 3) func $eleven)
  (elem $three func $eleven $twenty_two $thirty_three)
  (elem $with_null funcref (ref.null func) (ref.func $forty_four))
  (elem $gone func $eleven)
  (elem declare func $forty_four)

  (func $eleven (result i32) (i32.const 11))
  (func $twenty_two (result i32) (i32.const 22))
  (func $thirty_three (result i32) (i32.const 33))
  (func $forty_four (result i32) (i32.const 44))

  (func $at (param $i i32) (result i32) (call_indirect $t (type $constant) (local.get $i)))

  ;; Puts four functions at 4 to 7.
  (func $four
    (table.init $t $three (i32.const 4) (i32.const 0) (i32.const 3))
    (table.set $t (i32.const 7) (ref.func $forty_four)))

  (func $get_null (export "get_null") (param $i i32) (result i32)
    (table.set $t (i32.const 0) (ref.null func))
    (table.set $t (i32.const 3) (ref.func $eleven))
    (ref.is_null (table.get $t (local.get $i))))

  (func $set_and_call (export "set_and_call") (param $i i32) (result i32)
    (table.set $t (local.get $i) (ref.func $eleven))
    (call $at (local.get $i)))

  (func $set_null_and_call (export "set_null_and_call") (param $i i32) (result i32)
    (table.set $t (local.get $i) (ref.null func))
    (call $at (local.get $i)))

  (func $size (export "size") (result i32) (table.size $t))

  ;; How much larger the table is, and what its last element returns.
  (func $grow (export "grow") (param $n i32) (result i32 i32)
    (local $before i32)
    (local.set $before (table.size $grows))
    (table.set $grows (i32.sub (local.get $before) (i32.const 1)) (ref.func $eleven))
    (drop (table.grow $grows (ref.func $eleven) (local.get $n)))
    (i32.sub (table.size $grows) (local.get $before))
    (call_indirect $grows (type $constant) (i32.sub (table.size $grows) (i32.const 1))))

  (func $fill (export "fill") (param $from i32) (param $n i32) (result i32)
    (local $sum i32)
    (table.fill $t (local.get $from) (ref.func $eleven) (local.get $n))
    (block $done
      (loop $top
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (call $at (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $top)))
    (local.get $sum))

  (func $call_four (result i32 i32 i32 i32)
    (call $at (i32.const 4)) (call $at (i32.const 5))
    (call $at (i32.const 6)) (call $at (i32.const 7)))

  (func $copy_up (export "copy_up") (result i32 i32 i32 i32)
    (call $four)
    (table.copy $t $t (i32.const 5) (i32.const 4) (i32.const 3))
    (call $call_four))
  (func $copy_down (export "copy_down") (result i32 i32 i32 i32)
    (call $four)
    (table.copy $t $t (i32.const 4) (i32.const 5) (i32.const 2))
    (call $call_four))
  (func $copy_across (export "copy_across") (result i32)
    (call $four)
    (table.copy $other $t (i32.const 0) (i32.const 4) (i32.const 4))
    (call_indirect $other (type $constant) (i32.const 2)))

  (func $copy (export "copy") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (table.copy $t $t (local.get $to) (local.get $from) (local.get $n))
    (i32.const 0))

  ;; Initializes one element of $three, or more, and calls the first.
  (func $init (export "init") (param $to i32) (param $n i32) (result i32)
    (table.init $t $three (local.get $to) (i32.const 1) (local.get $n))
    (call $at (local.get $to)))

  (func $init_null (export "init_null") (result i32)
    (table.init $t $with_null (i32.const 8) (i32.const 0) (i32.const 2))
    (i32.and
      (ref.is_null (table.get $t (i32.const 8)))
      (i32.eq (call $at (i32.const 9)) (i32.const 44))))

  (func $init_dropped (export "init_dropped") (param $n i32) (result i32)
    (elem.drop $gone)
    (elem.drop $gone)
    (table.init $t $gone (i32.const 0) (i32.const 0) (local.get $n))
    (i32.const 0))

  ;; An active segment is dropped once the table has it.
  (func $init_active (export "init_active")
    (table.init $t $active (i32.const 0) (i32.const 0) (i32.const 1)))

  ;; The call in the loop stays the same, what it calls does not.
  (func $rewired_loop (export "rewired_loop") (param $n i32) (result i32)
    (local $sum i32) (local $i i32)
    (table.set $t (i32.const 0) (ref.func $eleven))
    (call $four)
    (loop $top
      (local.set $sum
        (i32.add (i32.mul (local.get $sum) (i32.const 3)) (call $at (i32.const 0))))
      (table.set $t (i32.const 0)
        (table.get $t (i32.add (i32.const 4) (i32.rem_u (local.get $i) (i32.const 4)))))
      (br_if $top
        (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
