;; Shrinks an image of three bytes a pixel, first along its columns, then along its rows, with weights in units of
;; 1/4096; both results are rounded to a byte. resample.ts says what the tables hold.
(module
  (import "worker" "memory" (memory 0 65536))

  ;; One row, at $line: the weighted sum of source rows from $from on, each $stride bytes long, two weights of 16 bits
  ;; at a time. In blocks of 16 bytes, so that up to 15 bytes beyond $end are written.
  (func $reduceRow
    (param $from i32) (param $stride i32) (param $taps i32) (param $tapsEnd i32) (param $line i32) (param $end i32)
    (local $at i32) (local $tap i32)
    (local $weights v128) (local $top v128) (local $bottom v128) (local $low v128) (local $high v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $block
      (local.set $tap (local.get $taps))
      (local.set $at (local.get $from))
      (local.set $a (v128.const i32x4 2048 2048 2048 2048))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (loop $pair
        (local.set $weights (v128.load32_splat (local.get $tap)))
        (local.set $top (v128.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (local.set $bottom (v128.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (local.set $low
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $top) (local.get $bottom)))
        (local.set $high
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $top) (local.get $bottom)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_u (local.get $low)) (local.get $weights))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_u (local.get $low)) (local.get $weights))))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_u (local.get $high)) (local.get $weights))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_u (local.get $high)) (local.get $weights))))
        (local.set $tap (i32.add (local.get $tap) (i32.const 4)))
        (br_if $pair (i32.lt_u (local.get $tap) (local.get $tapsEnd))))
      (v128.store (local.get $line)
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s (i32x4.shr_s (local.get $a) (i32.const 12)) (i32x4.shr_s (local.get $b) (i32.const 12)))
          (i16x8.narrow_i32x4_s (i32x4.shr_s (local.get $c) (i32.const 12)) (i32x4.shr_s (local.get $d) (i32.const 12)))))
      (local.set $line (i32.add (local.get $line) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br_if $block (i32.lt_u (local.get $line) (local.get $end)))))

  ;; The pixel at $from, again and again from $to to $end.
  (func $repeat (param $from i32) (param $to i32) (param $end i32)
    (block $done
      (loop $pixel
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (i32.store16 (local.get $to) (i32.load16_u (local.get $from)))
        (i32.store8 offset=2 (local.get $to) (i32.load8_u offset=2 (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 3)))
        (br $pixel))))

  ;; The rows of the result four at a time: $rows has for each where its pixels go, where in the source its first row
  ;; is, and its weights; $columns for each column where in a row it begins, and its weights. Rows beyond the source's
  ;; ends are there; pixels beyond a row's ends, $left and $right bytes of them, are made here. $columnStep and
  ;; $rowStep are the distances of neighbours in the result, which is turned where $rowStep is one pixel.
  (func (export "resample")
    (param $in i32) (param $stride i32)
    (param $rows i32) (param $rowsEnd i32) (param $rowTaps i32)
    (param $lines i32) (param $lineBytes i32) (param $left i32) (param $right i32)
    (param $columns i32) (param $columnsEnd i32) (param $columnTaps i32)
    (param $columnStep i32) (param $rowStep i32)
    (local $row i32) (local $line i32) (local $column i32) (local $at i32) (local $tap i32) (local $tapsEnd i32)
    (local $to i32) (local $two i32) (local $three i32)
    (local $weights v128) (local $half v128) (local $source v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $half (v128.const i32x4 2048 2048 2048 2048))
    (local.set $two (i32.shl (local.get $lineBytes) (i32.const 1)))
    (local.set $three (i32.add (local.get $two) (local.get $lineBytes)))
    (loop $four
      (local.set $row (i32.const 0))
      (local.set $line (local.get $lines))
      (loop $one
        (local.set $tap (i32.load offset=8 (local.get $rows)))
        (local.set $at (i32.add (local.get $line) (local.get $left)))
        (call $reduceRow
          (i32.add (local.get $in) (i32.load offset=4 (local.get $rows))) (local.get $stride)
          (local.get $tap) (i32.add (local.get $tap) (local.get $rowTaps))
          (local.get $at) (i32.add (local.get $at) (local.get $stride)))
        (call $repeat (local.get $at) (local.get $line) (local.get $at))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (call $repeat (i32.sub (local.get $at) (i32.const 3)) (local.get $at) (i32.add (local.get $at) (local.get $right)))
        (local.set $rows (i32.add (local.get $rows) (i32.const 12)))
        (local.set $line (i32.add (local.get $line) (local.get $lineBytes)))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br_if $one (i32.lt_u (local.get $row) (i32.const 4))))
      (local.set $to (i32.load (i32.sub (local.get $rows) (i32.const 48))))
      (local.set $column (local.get $columns))
      (loop $next
        (local.set $at (i32.add (local.get $lines) (i32.load (local.get $column))))
        (local.set $tap (i32.load offset=4 (local.get $column)))
        (local.set $tapsEnd (i32.add (local.get $tap) (local.get $columnTaps)))
        (local.set $a (local.get $half))
        (local.set $b (local.get $half))
        (local.set $c (local.get $half))
        (local.set $d (local.get $half))
        (loop $pair
          (local.set $weights (v128.load32_splat (local.get $tap)))
          (local.set $source (v128.load (local.get $at)))
          (local.set $a (i32x4.add (local.get $a) (i32x4.dot_i16x8_s
            (i16x8.extend_low_i8x16_u
              (i8x16.shuffle 0 3 1 4 2 5 0 0 0 0 0 0 0 0 0 0 (local.get $source) (local.get $source)))
            (local.get $weights))))
          (local.set $source (v128.load (i32.add (local.get $at) (local.get $lineBytes))))
          (local.set $b (i32x4.add (local.get $b) (i32x4.dot_i16x8_s
            (i16x8.extend_low_i8x16_u
              (i8x16.shuffle 0 3 1 4 2 5 0 0 0 0 0 0 0 0 0 0 (local.get $source) (local.get $source)))
            (local.get $weights))))
          (local.set $source (v128.load (i32.add (local.get $at) (local.get $two))))
          (local.set $c (i32x4.add (local.get $c) (i32x4.dot_i16x8_s
            (i16x8.extend_low_i8x16_u
              (i8x16.shuffle 0 3 1 4 2 5 0 0 0 0 0 0 0 0 0 0 (local.get $source) (local.get $source)))
            (local.get $weights))))
          (local.set $source (v128.load (i32.add (local.get $at) (local.get $three))))
          (local.set $d (i32x4.add (local.get $d) (i32x4.dot_i16x8_s
            (i16x8.extend_low_i8x16_u
              (i8x16.shuffle 0 3 1 4 2 5 0 0 0 0 0 0 0 0 0 0 (local.get $source) (local.get $source)))
            (local.get $weights))))
          (local.set $at (i32.add (local.get $at) (i32.const 6)))
          (local.set $tap (i32.add (local.get $tap) (i32.const 4)))
          (br_if $pair (i32.lt_u (local.get $tap) (local.get $tapsEnd))))
        ;; Red, green, blue and 0 of each row
        (local.set $source
          (i8x16.narrow_i16x8_u
            (i16x8.narrow_i32x4_s (i32x4.shr_s (local.get $a) (i32.const 12)) (i32x4.shr_s (local.get $b) (i32.const 12)))
            (i16x8.narrow_i32x4_s (i32x4.shr_s (local.get $c) (i32.const 12)) (i32x4.shr_s (local.get $d) (i32.const 12)))))
        (if (i32.eq (local.get $rowStep) (i32.const 3))
          (then
            (local.set $source (i8x16.shuffle 0 1 2 4 5 6 8 9 10 12 13 14 0 0 0 0 (local.get $source) (local.get $source)))
            (v128.store64_lane 0 (local.get $to) (local.get $source))
            (v128.store32_lane offset=8 2 (local.get $to) (local.get $source)))
          (else
            (local.set $row (local.get $to))
            (v128.store16_lane 0 (local.get $row) (local.get $source))
            (v128.store8_lane offset=2 2 (local.get $row) (local.get $source))
            (local.set $row (i32.add (local.get $row) (local.get $rowStep)))
            (v128.store16_lane 2 (local.get $row) (local.get $source))
            (v128.store8_lane offset=2 6 (local.get $row) (local.get $source))
            (local.set $row (i32.add (local.get $row) (local.get $rowStep)))
            (v128.store16_lane 4 (local.get $row) (local.get $source))
            (v128.store8_lane offset=2 10 (local.get $row) (local.get $source))
            (local.set $row (i32.add (local.get $row) (local.get $rowStep)))
            (v128.store16_lane 6 (local.get $row) (local.get $source))
            (v128.store8_lane offset=2 14 (local.get $row) (local.get $source))))
        (local.set $to (i32.add (local.get $to) (local.get $columnStep)))
        (local.set $column (i32.add (local.get $column) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $column) (local.get $columnsEnd))))
      (br_if $four (i32.lt_u (local.get $rows) (local.get $rowsEnd))))))
