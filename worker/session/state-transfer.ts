import assert from 'node:assert/strict';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { StateChunk, StateHeader, TensorEntry } from '../../proto/gen/coordinator.js';
import type { CopyStateRequest } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { failCall } from '../../runtime/grpc/server.js';
import { stateTensors } from '../model/layout.js';
import type { StateLayout } from '../model/program.js';
import type { LentSnapshot, Snapshot } from '../training/snapshots.js';
import type { Digests } from '../training/state-digests.js';

const chunkBytes = 1 << 20;

/** A server-streaming call's answer, read to its end. */
export type StateStream = AsyncIterable<StateChunk>;

/**
 * Serves Peer.CopyState with what `lend` has of a step; NOT_FOUND for one that is no longer, or not yet, held.
 */
export async function sendState(
  call: ServerWritableStream<CopyStateRequest, StateChunk>,
  lend: (step: number) => Promise<LentSnapshot | undefined>,
): Promise<void> {
  const step = Number(call.request.step);
  const lent = await lend(step);
  if (!lent) {
    failCall(call, new RondoError('not-found', `no snapshot of the state after step ${step} is held`));
    return;
  }
  const cancelled = new AbortController();
  call.on('cancelled', () => cancelled.abort());
  try {
    // grpc-js's type does not say that a call is a Writable, which it is.
    const sink = call as unknown as Writable;
    const digests = call.request.digests ? await lent.snapshot.digests() : null;
    await pipeline(Readable.from(chunksOf(lent.snapshot, digests)), sink, { signal: cancelled.signal });
  } catch (thrown) {
    if (!cancelled.signal.aborted) failCall(call, thrown);
  } finally {
    lent.giveBack();
  }
}

function* chunksOf(snapshot: Snapshot, digests: Digests | null): Generator<StateChunk> {
  yield { part: { $case: 'header', value: headerOf(snapshot, digests) } };
  const { values } = snapshot;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield { part: { $case: 'data', value: bytes.subarray(at, at + chunkBytes) } };
  }
}

/**
 * Fills `values` from a stream of StateChunks and checks that the tensors are those of `layout`. The caller
 * proves that the values are those that were sent.
 */
export async function receiveState(
  stream: StateStream,
  layout: StateLayout,
  values: Float32Array,
): Promise<StateHeader> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let header: StateHeader | undefined;
  let at = 0;
  for await (const { part } of stream) {
    if (part?.$case === 'header') {
      header = part.value;
      checkTensors(header, layout);
    } else if (part?.$case === 'data') {
      if (at + part.value.length > bytes.length) throw lengthError(layout.length);
      bytes.set(part.value, at);
      at += part.value.length;
    }
  }
  if (!header || at !== bytes.length) throw lengthError(layout.length);
  return header;
}

function headerOf({ step, layout }: Snapshot, digests: Digests | null): StateHeader {
  return {
    step: BigInt(step),
    length: BigInt(layout.length),
    stateDigest: digests?.state ?? '',
    parameterDigest: digests?.parameters ?? '',
    tensors: tensorsOf(layout),
  };
}

function tensorsOf(layout: StateLayout): TensorEntry[] {
  return stateTensors(layout).map(({ name, shape, offset }) => ({
    name,
    shape: [...shape],
    offset: BigInt(offset),
  }));
}

function checkTensors(header: StateHeader, layout: StateLayout): void {
  const expected = tensorsOf(layout);
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
  assert.equal(Number(header.length), layout.length);
}

function lengthError(expected: number): RondoError {
  return new RondoError('data-loss', `the state that was sent does not have ${expected} values`, {
    remedy: 'try again; if it happens again, resume from an earlier checkpoint',
  });
}
