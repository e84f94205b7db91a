import type { Metadata } from '@grpc/grpc-js';
import { type ControlServer, ControlService } from '../../proto/gen/control.js';
import { RondoError } from '../../runtime/errors.js';
import { tokenOf } from '../../runtime/grpc/credentials.js';
import { failCall } from '../../runtime/grpc/server.js';
import { readTokens } from '../run-store/join-tokens.js';
import { controlService, type RunControl } from './control.js';
import { requireToken } from './enrolment-rules.js';

const watchMs = 1_000;
const paths: ReadonlySet<string> = new Set(Object.values(ControlService).map(({ path }) => path));

/**
 * Those who ask a run from other machines. They show no certificate: each call brings a token that was made for an
 * operator, over a connection on which the coordinator has proved who it is.
 */
export interface Operators {
  /**
   * Whether the call is one of theirs.
   *
   * @throws RondoError unauthenticated when it is, and brings no operator's token of this run that counts now.
   */
  admit(path: string, metadata: Metadata): boolean;
  readonly service: ControlServer;
  /** From now on the run can be asked. */
  serve(control: RunControl): void;
}

/** @param folder of the run's tokens, where another process may add and revoke them. */
export function openOperators(folder: string): Operators {
  let control: RunControl | null = null;
  const service = controlService(() => {
    if (control !== null) return control;
    throw new RondoError('unavailable', 'the run cannot be asked: it is still starting', {
      remedy: 'try again in a moment',
    });
  });
  const authenticate = (metadata: Metadata) => {
    const token = tokenOf(metadata);
    if (token !== null) return void requireToken(readTokens(folder), token, new Map(), 'operator');
    throw new RondoError('unauthenticated', 'the call carries no token', {
      remedy: 'paste the line that `coordinator token create RUN --for operator` prints',
    });
  };
  return {
    admit(path, metadata) {
      if (!paths.has(path)) return false;
      authenticate(metadata);
      return true;
    },
    service: {
      ...service,
      readLog(call) {
        // The token may be revoked, or expire, while its holder listens.
        const watch = setInterval(() => {
          try {
            authenticate(call.metadata);
          } catch (thrown) {
            clearInterval(watch);
            failCall(call, thrown);
          }
        }, watchMs).unref();
        for (const end of ['cancelled', 'close']) call.once(end, () => clearInterval(watch));
        service.readLog(call);
      },
    },
    serve(opened) {
      control = opened;
    },
  };
}
