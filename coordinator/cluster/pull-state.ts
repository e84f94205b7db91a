import { createHash } from 'node:crypto';
import type { StateChunk, StateHeader } from '../../proto/gen/coordinator.js';
import { PeerClient } from '../../proto/gen/peer.js';
import { maxStateChunkBytes } from '../../proto/state-chunk.js';
import { abortReason, startWatchdog } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { workerName } from '../../runtime/member-name.js';

/**
 * Copies the state that a worker holds after `step` steps (Peer.CopyState) and proves it by its digest.
 *
 * @param address HOST:PORT of the worker's peer service.
 * @returns the header, and `header.length` float32 values in the order of `header.tensors`.
 * @throws RondoError data-loss when length or digest do not fit; deadline-exceeded when the worker sends
 *   nothing for `stallMs`; the signal's reason; else what the worker answers.
 */
export async function pullState(
  address: string,
  options: {
    credentials: RunCredentials;
    /** The worker's id. */
    holderId: string;
    generation: bigint;
    step: number;
    signal: AbortSignal;
    stallMs: number;
  },
): Promise<{ header: StateHeader; values: Float32Array }> {
  const { credentials, holderId, generation, step, signal, stallMs } = options;
  if (signal.aborted) throw abortReason(signal, 'copying the state');
  const client = openChannel(PeerClient, address, {
    credentials,
    peer: workerName(holderId),
    maxReceiveBytes: maxStateChunkBytes,
  });
  const call = client.copyState({ generation, step: BigInt(step), flat: true });
  let stalled = false;
  const watchdog = startWatchdog(stallMs, () => {
    stalled = true;
    call.cancel();
  });
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await receiveState(call, step, () => watchdog.touch());
  } catch (error) {
    if (signal.aborted) throw abortReason(signal, 'copying the state');
    if (stalled) {
      throw new RondoError('deadline-exceeded', `${address} sent no state for ${stallMs / 1_000} s`);
    }
    throw RondoError.from(error);
  } finally {
    watchdog.stop();
    signal.removeEventListener('abort', cancel);
    call.cancel();
    client.close();
  }
}

/**
 * Puts a stream of StateChunks together again.
 *
 * @throws RondoError data-loss when it is not what its header says.
 */
export async function receiveState(
  chunks: AsyncIterable<StateChunk>,
  step: number,
  onProgress: () => void,
): Promise<{ header: StateHeader; values: Float32Array }> {
  const hash = createHash('sha256');
  let header: StateHeader | undefined;
  let bytes = new Uint8Array(0);
  let filled = 0;
  for await (const { part } of chunks) {
    onProgress();
    if (part?.$case === 'header') {
      if (header !== undefined) throw broken('it has two headers');
      header = part.value;
      if (Number(header.step) !== step) throw broken(`it is of step ${header.step}, not of step ${step}`);
      bytes = allocate(header.length);
    } else if (part?.$case === 'data') {
      if (header === undefined) throw broken('it has no header');
      if (filled + part.value.length > bytes.length) throw broken('it is longer than its header says');
      bytes.set(part.value, filled);
      hash.update(part.value);
      filled += part.value.length;
    }
  }
  if (header === undefined) throw broken('it has no header');
  if (filled !== bytes.length) throw broken(`it ends after ${filled} of ${bytes.length} bytes`);
  if (hash.digest('hex') !== header.stateDigest) throw broken('its digest is not the one in its header');
  return { header, values: new Float32Array(bytes.buffer) };
}

function allocate(length: bigint): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(Number(length) * Float32Array.BYTES_PER_ELEMENT);
  } catch (error) {
    throw new RondoError('resource-exhausted', `no memory for a state of ${length} values`, { cause: error });
  }
}

function broken(reason: string): RondoError {
  return new RondoError('data-loss', `the copied state is broken: ${reason}`);
}
