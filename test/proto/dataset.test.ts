import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Dataset, decodeDataset, encodeDataset } from '../../proto/dataset.js';
import type { DatasetChunk } from '../../proto/gen/coordinator.js';
import { type Sample, SampleColumns } from '../../runtime/storage/sample-columns.js';
import { fileSamples } from '../support/samples.js';

async function* stream(chunks: Iterable<DatasetChunk>): AsyncGenerator<DatasetChunk> {
  yield* chunks;
}

function datasetOf(train: readonly Sample[], valid: readonly Sample[]): Dataset {
  return {
    ...{ root: 's3://bucket/packed', classes: ['a', 'ü'], train, valid, digest: 'd' },
    ...{
      validRoot: '/elsewhere',
      shards: { shards: [{ name: '0.tar', digest: 'e' }] },
      access: 'https://u:p@h',
    },
  };
}

describe('a data set on its way', () => {
  it('arrives as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(400), fc.nat(400), async (trainCount, validCount) => {
        const dataset = datasetOf(fileSamples(trainCount), fileSamples(validCount));
        const arrived = await decodeDataset(stream(encodeDataset(dataset)));
        // As columns, whatever was sent: a worker holds the list as long as it lives.
        expect([arrived.train, arrived.valid].every((list) => list instanceof SampleColumns)).toBe(true);
        expect({ ...arrived, train: [...arrived.train], valid: [...arrived.valid] }).toEqual(dataset);
      }),
      { numRuns: 20 },
    );
  });

  const chunks = [...encodeDataset(datasetOf(fileSamples(300), fileSamples(40)))];
  const flipped = chunks.map((chunk): DatasetChunk => {
    if (chunk.part?.$case !== 'piece') return chunk;
    const columns = Uint8Array.from(chunk.part.value.columns);
    columns[columns.length - 1]! ^= 1;
    return { part: { $case: 'piece', value: { ...chunk.part.value, columns } } };
  });

  it.each([
    ['a flipped bit', flipped],
    ['no header', chunks.slice(1)],
    ['nothing', []],
    ['its end missing', chunks.slice(0, -1)],
    ['a piece twice', [...chunks, chunks.at(-1)!]],
    ['a part of another kind', [...chunks, { part: undefined }]],
  ])('is refused with %s', async (_, sent) => {
    await expect(decodeDataset(stream(sent))).rejects.toMatchObject({ code: 'data-loss' });
  });
});
