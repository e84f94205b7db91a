import {
  type ConsumerMessages,
  DiscardPolicy,
  type NatsConnection,
  type NatsError,
  nanos,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from 'nats';
import { subjects } from '../../proto/metrics.js';

const day = 24 * 60 * 60 * 1000;

/** A metric is some 300 bytes: this holds the last half a million and more. */
const maxBytes = 256 * 1024 * 1024;
const maxAgeMs = 7 * day;

/** How long a repeated publication is recognised: longer than a server is usually away. */
const duplicateWindowMs = 10 * 60 * 1000;

/** A consumer that receives nothing for twice this long is created again. */
const heartbeatMs = 5000;

/** JetStream's code for a stream of this name with other limits: one that another version made. */
const streamExistsOtherwise = 10058;

function streamConfig(runId: string): Pick<StreamConfig, 'name' | 'subjects'> & Partial<StreamConfig> {
  return {
    name: streamName(runId),
    subjects: [subjects.all(runId)],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    storage: StorageType.File,
    max_bytes: maxBytes,
    max_age: nanos(maxAgeMs),
    duplicate_window: nanos(duplicateWindowMs),
  };
}

function streamName(runId: string): string {
  return `rondo-${runId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
}

/** Makes sure of the run's stream and answers the sequence number of its last message, 0 when it has none. */
export async function ensureStream(connection: NatsConnection, runId: string): Promise<number> {
  const manager = await connection.jetstreamManager();
  const config = streamConfig(runId);
  const { state } = await manager.streams.add(config).catch((error) => {
    if ((error as NatsError).api_error?.err_code !== streamExistsOtherwise) throw error;
    return manager.streams.update(config.name, config);
  });
  return state.last_seq;
}

/**
 * Hands every message after sequence number `after` to `take`, in order, with its body as text. Returns when `signal` aborts; throws when the server ends the consumer.
 */
export async function followStream(
  connection: NatsConnection,
  o: { runId: string; after: number; signal: AbortSignal; take(sequence: number, body: string): void },
): Promise<void> {
  const name = streamName(o.runId);
  const consumer = await connection.jetstream().consumers.get(name, { opt_start_seq: o.after + 1 });
  const messages: ConsumerMessages = await consumer.consume({
    max_messages: 500,
    expires: 2 * heartbeatMs,
    idle_heartbeat: heartbeatMs,
  });
  const stop = () => messages.stop();
  o.signal.addEventListener('abort', stop, { once: true });
  if (o.signal.aborted) stop();
  try {
    for await (const message of messages) o.take(message.seq, message.string());
  } finally {
    messages.stop();
    o.signal.removeEventListener('abort', stop);
  }
}
