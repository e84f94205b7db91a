import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import {
  ControlClient,
  type ControlServer,
  ControlService,
  type LogLine,
  type ReadLogRequest,
} from '../../proto/gen/control.js';
import { type RunStatus, runStatusSchema } from '../../proto/run-status.js';
import { RondoError } from '../../runtime/errors.js';
import { toGrpc } from '../../runtime/grpc/answer-error.js';
import { anonymousProof } from '../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import { bearToken, type RunCredentials, tokenCredentials } from '../../runtime/grpc/credentials.js';
import { failCall, type GrpcServer, openGrpcServer } from '../../runtime/grpc/server.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { parseJson } from '../../runtime/parse-json.js';

/** Which workers of this machine are started and stopped, by their ids. */
export interface Scaling {
  readonly starting: readonly string[];
  readonly stopping: readonly string[];
}

/** What may be asked of a run that goes on. */
export interface RunControl {
  status(): RunStatus;
  /** @throws RondoError invalid-argument for a number that cannot be. */
  scale(workers: number): Promise<Scaling>;
  readonly log: RunLog;
}

/** What a run says, in lines, of which the latest are kept. */
export interface RunLog {
  /** @param json an event on each line, in place of text. */
  kept(json: boolean): KeptLines;
  /** Nothing follows. */
  readonly isOver: boolean;
  /** Calls `listener` when lines have come, and when nothing follows, until the function that it returns is called. */
  onChange(listener: () => void): () => void;
  /** Says why nothing follows; once. */
  end(reason: string): void;
}

/** Lines by their number, from `first` up to `end`. */
export interface KeptLines {
  readonly first: number;
  readonly end: number;
  at(index: number): string;
}

/** Requests are a number; of a status, some 500 bytes a worker. */
const maxReceiveBytes = { request: 1 << 10, status: 4 << 20 };

/** Where the run can be asked, and the secret that it takes: not the one that workers have. */
export interface ControlAddress {
  /** HOST:PORT, on loopback. */
  readonly address: string;
  readonly token: string;
}

/** Serves `control` on loopback for those that hold `token`. @throws RondoError as `openGrpcServer` does. */
export function serveControl(control: RunControl, token: string): Promise<GrpcServer> {
  return openGrpcServer('127.0.0.1:0', {
    credentials: tokenCredentials(token),
    maxReceiveBytes: maxReceiveBytes.request,
    register: (server) =>
      server.addService(
        ControlService,
        controlService(() => control),
      ),
  });
}

/** @param current throws a RondoError while the run cannot be asked. */
export function controlService(current: () => RunControl): ControlServer {
  return {
    getStatus(_call, callback) {
      try {
        callback(null, { statusJson: JSON.stringify(current().status()) });
      } catch (thrown) {
        callback(toGrpc(thrown));
      }
    },
    async scale({ request }, callback) {
      try {
        const { starting, stopping } = await current().scale(request.workers);
        callback(null, { starting: [...starting], stopping: [...stopping] });
      } catch (thrown) {
        callback(toGrpc(thrown));
      }
    },
    readLog(call) {
      try {
        sendLog(call, current().log);
      } catch (thrown) {
        failCall(call, thrown);
      }
    },
  };
}

/** A reader who is too slow misses the lines that are not kept any more. */
function sendLog(call: ServerWritableStream<ReadLogRequest, LogLine>, log: RunLog): void {
  const { follow, tail, json } = call.request;
  const lines = log.kept(json);
  let next = tail === 0 ? lines.first : lines.end - tail;
  let isFull = false;
  const send = () => {
    if (call.writableEnded) return;
    next = Math.max(next, lines.first);
    for (; !isFull && next < lines.end; next += 1) isFull = !call.write({ text: lines.at(next) });
    if (next === lines.end && (!follow || log.isOver)) call.end();
  };
  const forget = log.onChange(send);
  for (const end of ['cancelled', 'error', 'close']) call.once(end, forget);
  call.on('drain', () => {
    isFull = false;
    send();
  });
  send();
}

/** Of another process: what a command asks. */
export interface ControlConnection {
  status(): Promise<RunStatus>;
  scale(workers: number): Promise<Scaling>;
  /** What the run has said, a line each; with `follow` until it ends or `signal` aborts. */
  readLog(o: ReadLogRequest, signal: AbortSignal): AsyncIterable<string>;
  close(): void;
}

/** Connects with its first call, which throws `unavailable` when nobody answers within `timeoutMs`. */
export function connectControl({ address, token }: ControlAddress, timeoutMs: number): ControlConnection {
  return openConnection(address, tokenCredentials(token), timeoutMs);
}

/**
 * The same from another machine.
 *
 * @param o.authority the run's (PEM): who has no certificate of it is not sent the token.
 * @param o.token an operator's.
 */
export function connectOperator(
  address: string,
  { authority, token }: { readonly authority: string; readonly token: string },
  timeoutMs: number,
): ControlConnection {
  const channel = (peer: string) => ({
    ...anonymousProof(authority, peer),
    interceptors: [bearToken(token)],
  });
  return openConnection(address, { channel }, timeoutMs);
}

function openConnection(
  address: string,
  credentials: Pick<RunCredentials, 'channel'>,
  timeoutMs: number,
): ControlConnection {
  const client = openChannel(ControlClient, address, {
    ...{ credentials, peer: coordinatorName },
    maxReceiveBytes: maxReceiveBytes.status,
  });
  const options = () => ({ deadline: Date.now() + timeoutMs });
  const failure = (thrown: unknown) => {
    const error = RondoError.from(thrown);
    // A server that ends at once cancels its calls.
    const isGone = error.code === 'unavailable' || error.code === 'cancelled';
    if (!isGone || error.remedy !== undefined) return error;
    return new RondoError('unavailable', `the coordinator at ${address} does not answer: ${error.message}`, {
      remedy:
        'check that the run goes on, and the way to it: a tunnel ends with what it leads to; then ask again',
      cause: thrown,
    });
  };
  return {
    status: () =>
      new Promise((resolve, reject) => {
        client.getStatus({}, new Metadata(), options(), (error, response) => {
          if (error) return reject(failure(error));
          try {
            resolve(parseJson(runStatusSchema, response.statusJson, ofCoordinator));
          } catch (thrown) {
            reject(thrown);
          }
        });
      }),
    scale: (workers) =>
      new Promise((resolve, reject) => {
        client.scale({ workers }, new Metadata(), options(), (error, response) =>
          error ? reject(failure(error)) : resolve(response),
        );
      }),
    async *readLog(request, signal) {
      const call = client.readLog(request, new Metadata(), request.follow ? {} : options());
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
      try {
        for await (const line of call) yield (line as LogLine).text;
      } catch (thrown) {
        if (!signal.aborted) throw failure(thrown);
      } finally {
        signal.removeEventListener('abort', cancel);
      }
    },
    close: () => client.close(),
  };
}

const ofCoordinator = {
  name: "the coordinator's status",
  code: 'failed-precondition',
  remedy: 'the run was started by another version of Rondo: use that one',
} as const;
