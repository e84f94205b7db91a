import assert from 'node:assert/strict';
import { closeSync, read, write } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { StateChunk, StateHeader, TensorEntry } from '../../proto/gen/coordinator.js';
import type { CopyStateRequest } from '../../proto/gen/peer.js';
import { stateChunkBytes } from '../../proto/state-chunk.js';
import { RondoError } from '../../runtime/errors.js';
import { failCall } from '../../runtime/grpc/server.js';
import {
  findSlotFile,
  headBytes,
  type MadeSlotFile,
} from '../collective/transport/shared-memory/slot-file.js';
import type { LentSnapshot, Snapshot, StateForm } from '../training/snapshots.js';
import type { Digests } from '../training/state-digests.js';

/** Of what is written to memory that both have: the receiver reads one while the next is written. */
const pieceBytes = 1 << 24;

const [writeFile, readFile] = [promisify(write), promisify(read)];

/** A server-streaming call's answer, read to its end. */
export type StateStream = AsyncIterable<StateChunk>;

/**
 * Serves Peer.CopyState with what `lend` has of a step, flat or as it is held; NOT_FOUND for one that is no longer, or
 * not yet, held. The values go to the memory that the caller offers, where it is found in `sharedMemory`, else into the
 * call.
 */
export async function sendState(
  call: ServerWritableStream<CopyStateRequest, StateChunk>,
  lend: (request: CopyStateRequest) => Promise<LentSnapshot | undefined>,
  sharedMemory: string | null,
): Promise<void> {
  const { step, flat } = call.request;
  const lent = await lend(call.request);
  if (!lent) {
    failCall(call, new RondoError('not-found', `no snapshot of the state after step ${step} is held`));
    return;
  }
  const cancelled = new AbortController();
  call.on('cancelled', () => cancelled.abort());
  const { memory } = call.request;
  try {
    // grpc-js's type does not say that a call is a Writable, which it is.
    const sink = call as unknown as Writable;
    const digests = flat ? await lent.snapshot.digests() : null;
    const isFitting = memory?.slotCount === 1 && memory.slotBytes === lent.snapshot.values.byteLength;
    const find = () => (isFitting && sharedMemory !== null ? findSlotFile(sharedMemory, memory) : null);
    const chunks = chunksOf(lent.snapshot, digests, find);
    await pipeline(Readable.from(chunks), sink, { signal: cancelled.signal });
  } catch (thrown) {
    if (!cancelled.signal.aborted) failCall(call, thrown);
  } finally {
    lent.giveBack();
  }
}

async function* chunksOf(
  snapshot: Snapshot,
  digests: Digests | null,
  findMemory: () => number | null,
): AsyncGenerator<StateChunk> {
  const { values } = snapshot;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const header = { part: { $case: 'header', value: headerOf(snapshot, digests) } } as const;
  const file = findMemory();
  if (file === null) {
    yield header;
    for (let at = 0; at < bytes.length; at += stateChunkBytes) {
      yield { part: { $case: 'data', value: bytes.subarray(at, at + stateChunkBytes) } };
    }
    return;
  }
  try {
    yield header;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      await writeFile(file, piece, 0, piece.length, headBytes + at);
      yield { part: { $case: 'written', value: piece.length } };
    }
  } finally {
    // Here, where no write is under way: another file might have its number by then.
    closeSync(file);
  }
}

/**
 * Fills `values` from a stream of StateChunks and checks that the tensors are those of `form`. The caller
 * proves that the values are those that were sent.
 *
 * @param memory what was offered to the sender.
 */
export async function receiveState(
  stream: StateStream,
  form: StateForm,
  values: Float32Array,
  memory: MadeSlotFile | null = null,
): Promise<StateHeader> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let header: StateHeader | undefined;
  let at = 0;
  for await (const { part } of stream) {
    if (part?.$case === 'header') {
      header = part.value;
      checkTensors(header, form);
      // Its sender has found it, or will not look for it again.
      memory?.unlink();
    } else if (part?.$case === 'data') {
      if (at + part.value.length > bytes.length) throw lengthError(form.length);
      bytes.set(part.value, at);
      at += part.value.length;
    } else if (part?.$case === 'written') {
      if (memory === null || at + part.value > bytes.length) throw lengthError(form.length);
      const { bytesRead } = await readFile(memory.fd, bytes, at, part.value, headBytes + at);
      if (bytesRead !== part.value) throw lengthError(form.length);
      at += bytesRead;
    }
  }
  if (!header || at !== bytes.length) throw lengthError(form.length);
  return header;
}

function headerOf({ step, form }: Snapshot, digests: Digests | null): StateHeader {
  return {
    step: BigInt(step),
    length: BigInt(form.length),
    stateDigest: digests?.state ?? '',
    parameterDigest: digests?.parameters ?? '',
    tensors: tensorsOf(form),
  };
}

function tensorsOf({ tensors }: StateForm): TensorEntry[] {
  return tensors.map(({ name, shape, offset }) => ({
    name,
    shape: [...shape],
    offset: BigInt(offset),
  }));
}

function checkTensors(header: StateHeader, form: StateForm): void {
  const expected = tensorsOf(form);
  const describe = (tensor: TensorEntry | undefined) =>
    tensor ? `${tensor.name} [${tensor.shape.join(', ')}] at ${tensor.offset}` : 'nothing';
  for (let index = 0; index < Math.max(expected.length, header.tensors.length); index++) {
    const [want, got] = [describe(expected[index]), describe(header.tensors[index])];
    if (want !== got) {
      throw new RondoError('data-loss', `the state does not fit this network: expected ${want}, got ${got}`, {
        remedy:
          'resume with the architecture, the classes and the version of Rondo that the checkpoint was made with; --from takes the weights alone',
      });
    }
  }
  assert.equal(Number(header.length), form.length);
}

function lengthError(expected: number): RondoError {
  return new RondoError('data-loss', `the state that was sent does not have ${expected} values`, {
    remedy: 'try again; if it happens again, resume from an earlier checkpoint',
  });
}
