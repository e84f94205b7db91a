import { openStream } from './random.js';

/** Of a Feistel network; four are enough for one that cannot be told from a random one (Luby and Rackoff, 1988). */
const rounds = 8;

/**
 * A permutation of 0 … count−1 that holds no list: a Feistel network on a grid of about √count × √count, walked
 * until it comes back to a number below `count` (Black and Rogaway, "Ciphers with arbitrary finite domains",
 * 2002). `count` may be up to 2^32, as `epoch` and `label`, which with the seed decide it.
 */
export function permuteIndices(
  count: number,
  seed: number,
  epoch: number,
  label: number,
): (position: number) => number {
  const rows = Math.max(1, Math.ceil(Math.sqrt(count)));
  const columns = Math.max(1, Math.ceil(count / rows));
  const stream = openStream(seed, 'order', epoch, label);
  const keys = Uint32Array.from({ length: rounds }, () => stream.uint32());
  return (position) => {
    let index = position;
    do {
      let left = Math.floor(index / columns);
      let right = index % columns;
      // The halves change places each time, and with them their sizes; after an even number they have them back.
      for (let round = 0; round < rounds; round += 1) {
        const size = round % 2 === 0 ? rows : columns;
        const mixed = (left + (mix(right ^ keys[round]!) % size)) % size;
        left = right;
        right = mixed;
      }
      index = left * columns + right;
    } while (index >= count);
    return index;
  };
}

/** MurmurHash3's finalizer: every bit of the input changes each bit of the output half of the time. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
