import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sample, SampleColumns } from '../../../runtime/storage/sample-columns.js';
import { fileSamples, packedSamples } from '../../support/samples.js';

const anyNumber = fc.oneof(fc.nat(255), fc.nat(65_535), fc.nat(2 ** 32 - 1));
const anyDigest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const anyPath = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replaceAll('\0', ''));
const numbers = { label: anyNumber, width: anyNumber, height: anyNumber };
const anyFile = fc.record({ ...numbers, digest: anyDigest, path: anyPath });
const anyPacked = fc.record({
  ...{ ...numbers, digest: anyDigest, path: anyPath },
  range: fc.record({ shard: anyNumber, block: anyNumber, bytes: anyNumber }),
});
/** Longer than a block of paths, and shorter. */
const anySamples = fc.oneof(
  fc.array(anyFile, { maxLength: 300, size: 'max' }),
  fc.array(anyPacked, { maxLength: 300, size: 'max' }),
);

describe('SampleColumns', () => {
  it('gives back what was put in, in any order', () => {
    fc.assert(
      fc.property(anySamples, fc.infiniteStream(fc.nat()), (samples: Sample[], draws) => {
        const columns = SampleColumns.from(samples);
        expect(columns.length).toBe(samples.length);
        expect([...columns]).toEqual(samples);
        expect(columns.at(samples.length)).toBeUndefined();
        expect(columns.at(-1)).toBeUndefined();
        const ids = Uint32Array.from(samples, () => draws.next().value! % samples.length);
        expect([...SampleColumns.pick(columns, ids)]).toEqual(Array.from(ids, (id) => samples[id]));
      }),
      { numRuns: 30 },
    );
  });

  it('is the same after its pieces were put together, however small they are', () => {
    fc.assert(
      fc.property(anySamples, fc.nat(20_000), (samples: Sample[], pieceBytes) => {
        const columns = SampleColumns.from(samples);
        const again = new SampleColumns(samples.length);
        for (const piece of columns.pieces(pieceBytes)) again.appendPiece(piece);
        expect([...again.finish()]).toEqual(samples);
        expect(again.bytes).toBe(columns.bytes);
      }),
      { numRuns: 30 },
    );
  });

  it('takes at most 60 bytes a sample of a pack, and fewer where each is a file', () => {
    const count = 200_000;
    const columns = new SampleColumns(count);
    for (const sample of packedSamples(count)) columns.append(sample);
    expect(columns.finish().bytes / count).toBeLessThan(60);
    expect(SampleColumns.from(fileSamples(20_000)).bytes / 20_000).toBeLessThan(50);
    const pieces = [...columns.pieces(1 << 20)];
    expect(pieces.length).toBeGreaterThan(10);
    for (const { paths, ...rest } of pieces) {
      const bytes = [...paths, ...Object.values(rest)].map((part) =>
        typeof part === 'number' ? 4 : part.length,
      );
      expect(bytes.reduce((sum, length) => sum + length, 0)).toBeLessThan(1.05 * 2 ** 20);
    }
  });

  it('says what it cannot hold', () => {
    const [file] = fileSamples(1);
    const packed = packedSamples(1).next().value as Sample;
    const refusals: readonly (readonly [string, readonly Sample[]])[] = [
      ['some samples lie in shards', [file!, packed]],
      ['some samples lie in shards', [packed, file!]],
      ['label of a sample is -1', [{ ...file!, label: -1 }]],
      ['width of a sample is 0.5', [{ ...file!, width: 0.5 }]],
      ['height of a sample is 4294967296', [{ ...file!, height: 2 ** 32 }]],
      ['is no SHA-256', [{ ...file!, digest: 'none' }]],
      ['NUL character', [{ ...file!, path: 'a\0b' }]],
    ];
    for (const [message, samples] of refusals) {
      expect(() => SampleColumns.from(samples)).toThrow(message);
    }
    expect(() => new SampleColumns(1).finish()).toThrow('not whole');
    const [piece] = SampleColumns.from([file!]).pieces(1);
    expect(() => new SampleColumns(2).appendPiece({ ...piece!, label: new Uint8Array(3) })).toThrow(
      'not whole',
    );
    expect(() => new SampleColumns(0).appendPiece(piece!)).toThrow('not whole');
  });
});
