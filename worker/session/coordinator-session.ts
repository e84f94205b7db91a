import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { type Dataset, decodeDataset } from '../../proto/dataset.js';
import {
  type Certificate,
  CoordinatorClient,
  type CoordinatorMessage,
  type DatasetChunk,
  type FetchSamplesRequest,
  type FileChunk,
  type Heartbeat,
  type Register,
  type SampleChunk,
  type StateChunk,
} from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { type Downward, logReceived, logSent, type Upward } from './message-log.js';

/** What is large comes in pieces of about 1 MiB; names of classes and tensors do not. */
export const maxReceiveBytes = 64 << 20;

export interface CoordinatorSession {
  /** Messages from the coordinator, in order; throws `unavailable` when the stream ends. */
  readonly messages: AsyncIterable<Downward>;
  send(message: Upward): void;
  /** From now on heartbeats are sent so often, the first at once. */
  beat(everyMs: number): void;
  fetchDataset(): Promise<Dataset>;
  fetchPretrained(): Promise<Uint8Array>;
  fetchCheckpoint(step: number): AsyncIterable<StateChunk>;
  fetchSamples(request: FetchSamplesRequest, signal: AbortSignal): AsyncIterable<SampleChunk>;
  /** Another certificate for this worker. */
  renew(signingRequest: Uint8Array): Promise<Certificate>;
  /** Ends the stream and the channel. Safe to call twice. */
  close(): void;
}

/**
 * Registers with the coordinator at `address` and keeps the session alive: `makeHeartbeat` gives what each
 * heartbeat says. Throws `unavailable` when nobody answers within `timeoutMs`.
 */
export async function openSession(
  address: string,
  credentials: RunCredentials,
  { register, timeoutMs }: { register: Register; timeoutMs: number },
  makeHeartbeat: () => Heartbeat,
): Promise<CoordinatorSession> {
  const client = openChannel(CoordinatorClient, address, {
    ...{ credentials, maxReceiveBytes },
    peer: coordinatorName,
  });
  await connect(client, address, timeoutMs);
  const stream = client.session();
  // The reader below sees the error; without a listener it would end the process first.
  stream.on('error', () => {});
  const send = (message: Upward) => {
    logSent(message);
    if (!stream.destroyed && stream.writable) stream.write({ message });
  };
  send({ $case: 'register', value: register });
  const beat = () => send({ $case: 'heartbeat', value: makeHeartbeat() });
  // Until the coordinator has said how often.
  let heartbeat = setInterval(beat, deadlinesOf(defaultSilenceMs).heartbeatMs);

  return {
    messages: read(stream, address),
    send,
    beat(everyMs) {
      clearInterval(heartbeat);
      heartbeat = setInterval(beat, everyMs);
      beat();
    },
    async fetchDataset() {
      try {
        return await decodeDataset(client.fetchDataset({}) as AsyncIterable<DatasetChunk>);
      } catch (error) {
        throw RondoError.from(error);
      }
    },
    async fetchPretrained() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of client.fetchPretrained({}) as AsyncIterable<FileChunk>)
        chunks.push(chunk.data);
      return Buffer.concat(chunks);
    },
    fetchCheckpoint: (step) => client.fetchCheckpoint({ step: BigInt(step) }),
    fetchSamples: (request, signal) => {
      const call = client.fetchSamples(request);
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      call.once('close', () => signal.removeEventListener('abort', cancel));
      return call;
    },
    renew: (signingRequest) =>
      new Promise((resolve, reject) => {
        client.renew({ signingRequest }, (error, certificate) =>
          error ? reject(RondoError.from(error)) : resolve(certificate),
        );
      }),
    close() {
      clearInterval(heartbeat);
      stream.end();
      client.close();
    },
  };
}

/** Throws `unavailable` when nobody answers within `timeoutMs`. */
export function connect(client: CoordinatorClient, address: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (!error) return resolve();
      client.close();
      reject(
        new RondoError('unavailable', `no coordinator answers at ${address}`, {
          remedy: 'check the address, and that the coordinator is running',
        }),
      );
    });
  });
}

async function* read(stream: AsyncIterable<CoordinatorMessage>, address: string): AsyncIterable<Downward> {
  try {
    for await (const { message } of stream) {
      if (message === undefined) continue;
      logReceived(message);
      yield message;
    }
  } catch (thrown) {
    const error = RondoError.from(thrown);
    if (error.code !== 'unavailable') throw error;
  }
  throw new RondoError('unavailable', `the coordinator at ${address} ended the session`);
}
