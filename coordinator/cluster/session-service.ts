import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { CoordinatorMessage, CoordinatorServer, WorkerMessage } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { requireCaller } from '../../runtime/grpc/caller.js';
import { failCall } from '../../runtime/grpc/server.js';
import { workerName } from '../../runtime/member-name.js';

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

/**
 * The server's half of Coordinator.Session: streams in, numbered messages out. It decides nothing but that a
 * session begins with Register, within `registerMs`.
 */
export function createSessions(listener: SessionListener, registerMs: number): Sessions {
  const open = new Map<number, SessionCall>();
  /** Of sessions that have not registered. */
  const timers = new Map<number, NodeJS.Timeout>();
  let waiting: (() => void)[] = [];
  let last = 0;

  const forget = (session: number, reason: string) => {
    if (!open.delete(session)) return;
    clearTimeout(timers.get(session));
    timers.delete(session);
    listener.closed(session, reason);
    if (open.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  const refuse = (session: number, error: RondoError) => {
    const call = open.get(session);
    forget(session, error.message);
    if (call !== undefined) failCall(call, error);
  };
  const awaitRegister = (session: number) => {
    // What arrived while this process was busy is read before the session is timed out.
    const expire = () =>
      setImmediate(() => {
        if (timers.has(session)) refuse(session, unregistered(`within ${registerMs / 1_000} s`));
      });
    timers.set(session, setTimeout(expire, registerMs));
  };
  const hear = (session: number, message: WorkerMessage) => {
    if (!open.has(session)) return;
    if (timers.has(session)) {
      if (message.message?.$case !== 'register') return refuse(session, unregistered('first of all'));
      const { workerId } = message.message.value;
      try {
        requireCaller(open.get(session)!, workerName(workerId), `worker ${workerId}`);
      } catch (error) {
        return refuse(session, RondoError.from(error));
      }
      clearTimeout(timers.get(session));
      timers.delete(session);
    }
    listener.message(session, message);
  };

  return {
    handler(call) {
      last += 1;
      const session = last;
      open.set(session, call);
      awaitRegister(session);
      call.on('data', (message: WorkerMessage) => hear(session, message));
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
    refuse,
    drained() {
      return open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

function unregistered(when: string): RondoError {
  return new RondoError('failed-precondition', `the session did not register ${when}`);
}
