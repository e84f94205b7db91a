import { createHash } from 'node:crypto';
import { RondoError } from '../runtime/errors.js';
import { SampleColumns, type Samples } from '../runtime/storage/sample-columns.js';
import { ColumnsPiece, type DatasetChunk, type DatasetHeader } from './gen/coordinator.js';

/** A data set as both programs have it. */
export interface Dataset extends Omit<DatasetHeader, 'trainCount' | 'validCount'> {
  readonly train: Samples;
  readonly valid: Samples;
}

/** Of one message; a block of paths may come on top. */
const pieceBytes = 1 << 20;

/** What `FetchDataset` sends of a data set: its header, then its samples in pieces. */
export function* encodeDataset({ train, valid, ...header }: Dataset): Generator<DatasetChunk, void, void> {
  const counts = { trainCount: train.length, validCount: valid.length };
  yield { part: { $case: 'header', value: { ...header, ...counts } } };
  for (const samples of [train, valid]) {
    for (const piece of SampleColumns.from(samples).pieces(pieceBytes)) {
      const columns = ColumnsPiece.encode({ ...piece, paths: [...piece.paths] }).finish();
      yield { part: { $case: 'piece', value: { columns, digest: digestOf(columns) } } };
    }
  }
}

/** The data set that was encoded. Throws data-loss where it is not whole. */
export async function decodeDataset(chunks: AsyncIterable<DatasetChunk>): Promise<Dataset> {
  let opened: { header: DatasetHeader; train: SampleColumns; valid: SampleColumns } | null = null;
  for await (const { part } of chunks) {
    if (part?.$case === 'header') {
      const { trainCount, validCount } = part.value;
      opened = {
        ...{ header: part.value, train: new SampleColumns(trainCount), valid: new SampleColumns(validCount) },
      };
    } else if (part?.$case === 'piece' && opened !== null) {
      const { columns, digest } = part.value;
      if (!digestOf(columns).equals(digest)) throw damaged();
      const { train, valid, header } = opened;
      (train.length < header.trainCount ? train : valid).appendPiece(ColumnsPiece.decode(columns));
    } else {
      throw damaged();
    }
  }
  if (opened === null) throw damaged();
  const { trainCount: _train, validCount: _valid, ...header } = opened.header;
  return { ...header, train: opened.train.finish(), valid: opened.valid.finish() };
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function damaged(): RondoError {
  return new RondoError('data-loss', 'the list of samples arrived otherwise than it was sent', {
    remedy: 'try again; if it happens again, look at the network between the machines',
  });
}
