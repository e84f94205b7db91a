import { Metadata } from '@grpc/grpc-js';
import { ControlClient, type ControlServer, ControlService } from '../../proto/gen/control.js';
import { type RunStatus, runStatusSchema } from '../../proto/run-status.js';
import { RondoError } from '../../runtime/errors.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import { tokenCredentials } from '../../runtime/grpc/credentials.js';
import { type GrpcServer, openGrpcServer } from '../../runtime/grpc/server.js';
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
    register: (server) => server.addService(ControlService, serviceOf(control)),
  });
}

function serviceOf(control: RunControl): ControlServer {
  return {
    getStatus(_call, callback) {
      try {
        callback(null, { statusJson: JSON.stringify(control.status()) });
      } catch (thrown) {
        callback(RondoError.from(thrown).toGrpc());
      }
    },
    scale({ request }, callback) {
      control.scale(request.workers).then(
        ({ starting, stopping }) => callback(null, { starting: [...starting], stopping: [...stopping] }),
        (thrown: unknown) => callback(RondoError.from(thrown).toGrpc()),
      );
    },
  };
}

/** Of another process: what a command asks. */
export interface ControlConnection {
  status(): Promise<RunStatus>;
  scale(workers: number): Promise<Scaling>;
  close(): void;
}

/** Connects with its first call, which throws `unavailable` when nobody answers within `timeoutMs`. */
export function connectControl({ address, token }: ControlAddress, timeoutMs: number): ControlConnection {
  const credentials = tokenCredentials(token);
  const client = openChannel(ControlClient, address, {
    ...{ credentials, peer: coordinatorName },
    maxReceiveBytes: maxReceiveBytes.status,
  });
  const options = () => ({ deadline: Date.now() + timeoutMs });
  return {
    status: () =>
      new Promise((resolve, reject) => {
        client.getStatus({}, new Metadata(), options(), (error, response) => {
          if (error) return reject(RondoError.from(error));
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
          error ? reject(RondoError.from(error)) : resolve(response),
        );
      }),
    close: () => client.close(),
  };
}

const ofCoordinator = {
  name: "the coordinator's status",
  code: 'failed-precondition',
  remedy: 'the run was started by another version of Rondo: use that one',
} as const;
