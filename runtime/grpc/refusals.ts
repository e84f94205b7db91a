import { status as grpcStatus, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { log } from '../log.js';

/** The remote end of a connection. */
export interface Remote {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** What is logged of who was refused. */
export interface RefusalDetails {
  readonly remote: string | undefined;
  readonly reason: string;
  readonly [more: string]: unknown;
}

/** Logs refusals, such that nobody fills a disk by being refused. */
export interface RefusalLog {
  refused(event: string, details: RefusalDetails): void;
  /** Safe to call twice. */
  close(): void;
}

const defaultQuietMs = 5_000;
/** Refusals that differ, in so long, which have a line each. */
const mostLines = 64;

/**
 * A line for each refusal. The same again within `quietMs` is counted, and so is what comes when very many differ; one
 * more line says how often.
 */
export function openRefusalLog(quietMs = defaultQuietMs): RefusalLog {
  const counts = new Map<string, { event: string; details: RefusalDetails; again: number }>();
  let others = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const { event, details, again } of counts.values()) {
      if (again > 0) log('warn', event, { ...details, again });
    }
    if (others > 0) log('warn', 'more was refused', { times: others });
    counts.clear();
    others = 0;
  };
  return {
    refused(event, details) {
      const key = JSON.stringify([event, details]);
      const known = counts.get(key);
      if (known !== undefined) known.again += 1;
      else if (counts.size >= mostLines) others += 1;
      else {
        counts.set(key, { event, details, again: 0 });
        log('warn', event, details);
      }
      timer ??= setTimeout(flush, quietMs).unref();
    },
    close: flush,
  };
}

/** The ends of calls that say that a caller asked for what it may not have. */
const refusals: readonly number[] = [
  grpcStatus.INVALID_ARGUMENT,
  grpcStatus.UNAUTHENTICATED,
  grpcStatus.PERMISSION_DENIED,
  grpcStatus.FAILED_PRECONDITION,
  grpcStatus.RESOURCE_EXHAUSTED,
  grpcStatus.ABORTED,
  grpcStatus.OUT_OF_RANGE,
  grpcStatus.UNIMPLEMENTED,
  grpcStatus.INTERNAL,
];

/**
 * Logs the calls that a server refuses, whoever decides it: a handler, another interceptor, or grpc-js, for messages
 * that are too large or cannot be read. To stand first among the interceptors.
 */
export function logRefusedCalls(
  { refused }: RefusalLog,
  nameOf: (remote: Remote) => string | null,
): ServerInterceptor {
  return ({ path }, call) => {
    const send = call.sendStatus.bind(call);
    // grpc-js ends calls by this method too, past all interceptors.
    call.sendStatus = (status) => {
      if (refusals.includes(status.code ?? grpcStatus.OK)) {
        const remote = call.getConnectionInfo();
        const caller = nameOf(remote);
        refused('call refused', {
          remote: remote.remoteAddress,
          ...(caller === null ? {} : { caller }),
          call: path,
          reason: status.details ?? '',
        });
      }
      send(status);
    };
    return new ServerInterceptingCall(call);
  };
}
