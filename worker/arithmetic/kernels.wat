;; The ring's arithmetic with SIMD: JavaScript adds float32 by way of float64, one at a time.
;;
;; Every kernel is a loop of turns, at least one. A turn handles 64 bytes of payload, or 16 where the
;; arithmetic outweighs the counting. Parameters are addresses: where the payload begins, where the floats
;; begin, and where the payload ends.
(module
  (import "worker" "memory" (memory 0 65536))
  (type $kernel (func (param $payload i32) (param $floats i32) (param $end i32)))

  ;; payload := payload + floats
  (func (export "addFloat32") (type $kernel) (param $payload i32) (param $floats i32) (param $end i32)
    (loop $turn
      (v128.store (local.get $payload)
        (f32x4.add (v128.load (local.get $payload)) (v128.load (local.get $floats))))
      (v128.store offset=16 (local.get $payload)
        (f32x4.add (v128.load offset=16 (local.get $payload)) (v128.load offset=16 (local.get $floats))))
      (v128.store offset=32 (local.get $payload)
        (f32x4.add (v128.load offset=32 (local.get $payload)) (v128.load offset=32 (local.get $floats))))
      (v128.store offset=48 (local.get $payload)
        (f32x4.add (v128.load offset=48 (local.get $payload)) (v128.load offset=48 (local.get $floats))))
      (local.set $payload (i32.add (local.get $payload) (i32.const 64)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 64)))
      (br_if $turn (i32.lt_u (local.get $payload) (local.get $end)))))

  ;; Four floats rounded to bfloat16, to nearest, ties to even, in the lower halves of four ints. A NaN stays
  ;; one: its upper bits alone might read as infinity.
  (func $roundToBfloat16 (param $x v128) (result v128)
    (v128.bitselect
      (v128.or (i32x4.shr_u (local.get $x) (i32.const 16)) (v128.const i32x4 0x40 0x40 0x40 0x40))
      (i32x4.shr_u
        (i32x4.add
          (i32x4.add (local.get $x) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
          (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (v128.const i32x4 1 1 1 1)))
        (i32.const 16))
      (f32x4.ne (local.get $x) (local.get $x))))

  ;; payload := bfloat16(float32(payload) + floats)
  (func (export "addBfloat16") (type $kernel) (param $payload i32) (param $floats i32) (param $end i32)
    (local $halves v128)
    (loop $turn
      (local.set $halves (v128.load (local.get $payload)))
      (v128.store (local.get $payload)
        (i16x8.narrow_i32x4_u
          (call $roundToBfloat16
            (f32x4.add
              (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $halves)) (i32.const 16))
              (v128.load (local.get $floats))))
          (call $roundToBfloat16
            (f32x4.add
              (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $halves)) (i32.const 16))
              (v128.load offset=16 (local.get $floats))))))
      (local.set $payload (i32.add (local.get $payload) (i32.const 16)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $payload) (local.get $end)))))

  ;; payload := bfloat16(floats)
  (func (export "packBfloat16") (type $kernel) (param $payload i32) (param $floats i32) (param $end i32)
    (loop $turn
      (v128.store (local.get $payload)
        (i16x8.narrow_i32x4_u
          (call $roundToBfloat16 (v128.load (local.get $floats)))
          (call $roundToBfloat16 (v128.load offset=16 (local.get $floats)))))
      (local.set $payload (i32.add (local.get $payload) (i32.const 16)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $payload) (local.get $end)))))

  ;; floats := payload
  (func (export "unpackBfloat16") (type $kernel) (param $payload i32) (param $floats i32) (param $end i32)
    (local $halves v128)
    (loop $turn
      (local.set $halves (v128.load (local.get $payload)))
      (v128.store (local.get $floats)
        (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $halves)) (i32.const 16)))
      (v128.store offset=16 (local.get $floats)
        (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $halves)) (i32.const 16)))
      (local.set $payload (i32.add (local.get $payload) (i32.const 16)))
      (local.set $floats (i32.add (local.get $floats) (i32.const 32)))
      (br_if $turn (i32.lt_u (local.get $payload) (local.get $end))))))
