import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { CoordinatorMessage, CoordinatorServer, WorkerMessage } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';

type SessionCall = ServerDuplexStream<WorkerMessage, CoordinatorMessage>;

/** What the streams say. Every session ends with exactly one `closed`. */
export interface SessionListener {
  message(session: number, message: WorkerMessage): void;
  closed(session: number, reason: string): void;
}

/** The workers' open streams, by a number that is never used again. */
export interface Sessions {
  readonly handler: CoordinatorServer['session'];
  send(session: number, message: CoordinatorMessage): void;
  /** Says Goodbye and ends the stream. */
  dismiss(session: number, ok: boolean, reason: string): void;
  /** Ends the stream with an error. */
  refuse(session: number, error: RondoError): void;
  /** Resolves when no stream is open. */
  drained(): Promise<void>;
}

/** The server's half of Coordinator.Session: streams in, numbered messages out. It decides nothing. */
export function createSessions(listener: SessionListener): Sessions {
  const open = new Map<number, SessionCall>();
  let waiting: (() => void)[] = [];
  let last = 0;

  const forget = (session: number, reason: string) => {
    if (!open.delete(session)) return;
    listener.closed(session, reason);
    if (open.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };

  return {
    handler(call) {
      last += 1;
      const session = last;
      open.set(session, call);
      call.on('data', (message: WorkerMessage) => {
        if (open.has(session)) listener.message(session, message);
      });
      call.on('cancelled', () => forget(session, 'its connection broke'));
      call.on('error', (error) => forget(session, `its connection broke (${error.message})`));
      call.on('end', () => {
        call.end();
        // A broken connection ends the stream too, and only then says that it was cancelled.
        setImmediate(() => forget(session, 'it closed its session'));
      });
    },
    send(session, message) {
      open.get(session)?.write(message);
    },
    dismiss(session, ok, reason) {
      const call = open.get(session);
      call?.write({ message: { $case: 'goodbye', value: { ok, reason } } });
      call?.end();
    },
    refuse(session, error) {
      const call = open.get(session);
      forget(session, error.message);
      call?.emit('error', withRemedy(error).toGrpc());
    },
    drained() {
      return open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

/** A gRPC status carries one sentence: the remedy joins the message. */
function withRemedy(error: RondoError): RondoError {
  return error.remedy === undefined ? error : new RondoError(error.code, `${error.message}: ${error.remedy}`);
}
