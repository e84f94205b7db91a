;; Arithmetic of exact sums, with SIMD: float32 gradients become whole multiples of a power of two, as int32;
;; int32 are added; sums become float32 or bfloat16, and are scaled.
;;
;; Every kernel is a loop of turns, at least one: of 64 bytes where counting would take as long as the
;; arithmetic, else of 16. Parameters are addresses, where operands begin and where the first of them ends.
(module
  (import "worker" "memory" (memory 0 65536))

  ;; sums := sums + ints
  (func (export "addInt32") (param $sums i32) (param $ints i32) (param $end i32)
    (loop $turn
      (v128.store (local.get $sums)
        (i32x4.add (v128.load (local.get $sums)) (v128.load (local.get $ints))))
      (v128.store offset=16 (local.get $sums)
        (i32x4.add (v128.load offset=16 (local.get $sums)) (v128.load offset=16 (local.get $ints))))
      (v128.store offset=32 (local.get $sums)
        (i32x4.add (v128.load offset=32 (local.get $sums)) (v128.load offset=32 (local.get $ints))))
      (v128.store offset=48 (local.get $sums)
        (i32x4.add (v128.load offset=48 (local.get $sums)) (v128.load offset=48 (local.get $ints))))
      (local.set $sums (i32.add (local.get $sums) (i32.const 64)))
      (local.set $ints (i32.add (local.get $ints) (i32.const 64)))
      (br_if $turn (i32.lt_u (local.get $sums) (local.get $end)))))

  ;; floats := floats * factor
  (func (export "scale") (param $floats i32) (param $end i32) (param $factor f32)
    (local $factors v128)
    (local.set $factors (f32x4.splat (local.get $factor)))
    (loop $turn
      (v128.store (local.get $floats) (f32x4.mul (v128.load (local.get $floats)) (local.get $factors)))
      (v128.store offset=16 (local.get $floats)
        (f32x4.mul (v128.load offset=16 (local.get $floats)) (local.get $factors)))
      (v128.store offset=32 (local.get $floats)
        (f32x4.mul (v128.load offset=32 (local.get $floats)) (local.get $factors)))
      (v128.store offset=48 (local.get $floats)
        (f32x4.mul (v128.load offset=48 (local.get $floats)) (local.get $factors)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 64)))
      (br_if $turn (i32.lt_u (local.get $floats) (local.get $end)))))

  ;; floats := float32(ints), rounded to nearest, ties to even; the two may be one
  (func (export "intsToFloat32") (param $floats i32) (param $ints i32) (param $end i32)
    (loop $turn
      (v128.store (local.get $floats) (f32x4.convert_i32x4_s (v128.load (local.get $ints))))
      (v128.store offset=16 (local.get $floats) (f32x4.convert_i32x4_s (v128.load offset=16 (local.get $ints))))
      (v128.store offset=32 (local.get $floats) (f32x4.convert_i32x4_s (v128.load offset=32 (local.get $ints))))
      (v128.store offset=48 (local.get $floats) (f32x4.convert_i32x4_s (v128.load offset=48 (local.get $ints))))
      (local.set $floats (i32.add (local.get $floats) (i32.const 64)))
      (local.set $ints (i32.add (local.get $ints) (i32.const 64)))
      (br_if $turn (i32.lt_u (local.get $floats) (local.get $end)))))

  ;; Four ints as float32, rounded to bfloat16, to nearest, ties to even, in the lower halves of four ints.
  (func $roundToBfloat16 (param $ints v128) (result v128)
    (local $x v128)
    (local.set $x (f32x4.convert_i32x4_s (local.get $ints)))
    (i32x4.shr_u
      (i32x4.add
        (i32x4.add (local.get $x) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
        (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (v128.const i32x4 1 1 1 1)))
      (i32.const 16)))

  ;; halves := bfloat16(float32(ints)); the two may begin at one address
  (func (export "intsToBfloat16") (param $halves i32) (param $ints i32) (param $end i32)
    (loop $turn
      (v128.store (local.get $halves)
        (i16x8.narrow_i32x4_u
          (call $roundToBfloat16 (v128.load (local.get $ints)))
          (call $roundToBfloat16 (v128.load offset=16 (local.get $ints)))))
      (local.set $halves (i32.add (local.get $halves) (i32.const 16)))
      (local.set $ints (i32.add (local.get $ints) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $halves) (local.get $end)))))

  ;; floats := halves
  (func (export "bfloat16ToFloat32") (param $halves i32) (param $floats i32) (param $end i32)
    (local $eight v128)
    (loop $turn
      (local.set $eight (v128.load (local.get $halves)))
      (v128.store (local.get $floats)
        (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $eight)) (i32.const 16)))
      (v128.store offset=16 (local.get $floats)
        (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $eight)) (i32.const 16)))
      (local.set $halves (i32.add (local.get $halves) (i32.const 16)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $halves) (local.get $end)))))

  ;; The largest of four magnitudes, which are the bits of float32 without their signs: NaN is above infinity.
  (func $largestOf (param $largest v128) (result f32)
    (local $pairs v128)
    (local.set $pairs
      (i32x4.max_u (local.get $largest)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $largest) (local.get $largest))))
    (f32x4.extract_lane 0
      (i32x4.max_u (local.get $pairs)
        (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $pairs) (local.get $pairs)))))

  ;; own := floats as whole multiples of 1 / scale, rounded to nearest, ties to even; then floats := own, as ints. What
  ;; int32 does not hold becomes its nearest, NaN becomes 0. Answers the largest magnitude of the floats, NaN
  ;; where there is one.
  (func (export "encode")
    (param $own i32) (param $floats i32) (param $end i32) (param $scale f32) (result f32)
    (local $scales v128) (local $magnitude v128) (local $largest v128) (local $a v128) (local $b v128)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $magnitude (i32x4.splat (i32.const 0x7fffffff)))
    (loop $turn
      (local.set $a (v128.load (local.get $floats)))
      (local.set $b (v128.load offset=16 (local.get $floats)))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $a) (local.get $magnitude))))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $b) (local.get $magnitude))))
      (local.set $a (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $a) (local.get $scales)))))
      (local.set $b (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $b) (local.get $scales)))))
      (v128.store (local.get $own) (local.get $a))
      (v128.store offset=16 (local.get $own) (local.get $b))
      (v128.store (local.get $floats) (local.get $a))
      (v128.store offset=16 (local.get $floats) (local.get $b))
      (local.set $own (i32.add (local.get $own) (i32.const 32)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $own) (local.get $end))))
    (call $largestOf (local.get $largest)))

  ;; own := own + what encode makes of floats; then floats := own. Answers as encode.
  (func (export "encodeAdd")
    (param $own i32) (param $floats i32) (param $end i32) (param $scale f32) (result f32)
    (local $scales v128) (local $magnitude v128) (local $largest v128) (local $a v128) (local $b v128)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $magnitude (i32x4.splat (i32.const 0x7fffffff)))
    (loop $turn
      (local.set $a (v128.load (local.get $floats)))
      (local.set $b (v128.load offset=16 (local.get $floats)))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $a) (local.get $magnitude))))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $b) (local.get $magnitude))))
      (local.set $a
        (i32x4.add (v128.load (local.get $own))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $a) (local.get $scales))))))
      (local.set $b
        (i32x4.add (v128.load offset=16 (local.get $own))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $b) (local.get $scales))))))
      (v128.store (local.get $own) (local.get $a))
      (v128.store offset=16 (local.get $own) (local.get $b))
      (v128.store (local.get $floats) (local.get $a))
      (v128.store offset=16 (local.get $floats) (local.get $b))
      (local.set $own (i32.add (local.get $own) (i32.const 32)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $own) (local.get $end))))
    (call $largestOf (local.get $largest)))

  ;; floats := float32(what encode makes of them), for whom there is nothing to add; own, whose end counts the turns, is
  ;; left as it is. Answers as encode.
  (func (export "encodeFinished")
    (param $own i32) (param $floats i32) (param $end i32) (param $scale f32) (result f32)
    (local $scales v128) (local $magnitude v128) (local $largest v128) (local $a v128) (local $b v128)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $magnitude (i32x4.splat (i32.const 0x7fffffff)))
    (loop $turn
      (local.set $a (v128.load (local.get $floats)))
      (local.set $b (v128.load offset=16 (local.get $floats)))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $a) (local.get $magnitude))))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $b) (local.get $magnitude))))
      (v128.store (local.get $floats)
        (f32x4.convert_i32x4_s (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $a) (local.get $scales))))))
      (v128.store offset=16 (local.get $floats)
        (f32x4.convert_i32x4_s (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $b) (local.get $scales))))))
      (local.set $own (i32.add (local.get $own) (i32.const 32)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $own) (local.get $end))))
    (call $largestOf (local.get $largest)))

  ;; floats := float32(own + what encode makes of floats); own is left as it is. Answers as encode.
  (func (export "encodeAddFinished")
    (param $own i32) (param $floats i32) (param $end i32) (param $scale f32) (result f32)
    (local $scales v128) (local $magnitude v128) (local $largest v128) (local $a v128) (local $b v128)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $magnitude (i32x4.splat (i32.const 0x7fffffff)))
    (loop $turn
      (local.set $a (v128.load (local.get $floats)))
      (local.set $b (v128.load offset=16 (local.get $floats)))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $a) (local.get $magnitude))))
      (local.set $largest (i32x4.max_u (local.get $largest) (v128.and (local.get $b) (local.get $magnitude))))
      (v128.store (local.get $floats)
        (f32x4.convert_i32x4_s (i32x4.add (v128.load (local.get $own))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $a) (local.get $scales)))))))
      (v128.store offset=16 (local.get $floats)
        (f32x4.convert_i32x4_s (i32x4.add (v128.load offset=16 (local.get $own))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (local.get $b) (local.get $scales)))))))
      (local.set $own (i32.add (local.get $own) (i32.const 32)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $own) (local.get $end))))
    (call $largestOf (local.get $largest))))
