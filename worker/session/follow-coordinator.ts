import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import type { Goodbye, Welcome } from '../../proto/gen/coordinator.js';
import { withDeadline } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import {
  type ActiveGeneration,
  type GenerationServices,
  type Position,
  startGeneration,
} from './active-generation.js';
import type { CoordinatorSession } from './coordinator-session.js';
import type { WorkerResources } from './generation.js';

/** A session that ended so may be followed by another: the connection broke, or this worker was silent. */
export function mayJoinAnew(error: unknown): boolean {
  const { code } = RondoError.from(error);
  return code === 'unavailable' || code === 'aborted';
}

/**
 * Does what the coordinator says until Goodbye, which it returns. Calls `onEnding` when no other session can
 * follow.
 *
 * @throws RondoError what ended the session.
 */
export async function followCoordinator(
  session: CoordinatorSession,
  position: Position,
  open: (welcome: Welcome) => Promise<GenerationServices>,
  onEnding: () => void,
): Promise<Goodbye> {
  let services: Promise<GenerationServices> | undefined;
  let active: ActiveGeneration | undefined;
  let deadlines = deadlinesOf(defaultSilenceMs);
  let standing: Promise<void> = Promise.resolve();
  const fail = (thrown: unknown) => {
    const error = { remedy: '', ...RondoError.from(thrown).toPlain() };
    session.send({ $case: 'failed', value: { generation: 0n, step: position.step, ...error } });
  };
  try {
    for await (const message of session.messages) {
      switch (message.$case) {
        case 'welcome':
          deadlines = deadlinesOf(1_000 * message.value.silenceSeconds);
          session.beat(deadlines.heartbeatMs);
          services = open(message.value);
          services.then(({ resources: { shape } }) => {
            session.send({ $case: 'standby', value: { generation: 0n, kernels: shape.kernels } });
          }, fail);
          break;
        case 'assignment':
          if (!services)
            throw new RondoError('internal', 'the coordinator sent an assignment before its welcome');
          await active?.abort();
          active = startGeneration(message.value, services, position);
          break;
        case 'begin':
          active?.begin();
          break;
        case 'stop':
          active?.requestStop();
          break;
        case 'snapshot':
          active?.requestSnapshot();
          break;
        case 'interrupt': {
          // Not waited for: a compute thread that hangs must not keep this from hearing Goodbye.
          const { generation } = message.value;
          const ended = active?.abort();
          standing = (async () => {
            await ended;
            const { resources } = await services!;
            session.send({ $case: 'standby', value: { generation, held: await describeHeld(resources) } });
          })().catch(fail);
          break;
        }
        case 'goodbye':
          onEnding();
          return message.value;
      }
    }
    throw new RondoError('internal', 'a session ends with Goodbye or an error');
  } catch (error) {
    if (!mayJoinAnew(error)) onEnding();
    throw error;
  } finally {
    await withDeadline(Promise.all([active?.abort(), standing]), {
      timeoutMs: deadlines.abortMs,
      what: 'ending the generation',
    });
  }
}

/** The state that this worker holds, if any; from now on peers can copy it. */
async function describeHeld({ held, snapshots }: WorkerResources) {
  if (held.step === null) return undefined;
  const { digests } = await snapshots.hold(held.step);
  return { step: BigInt(held.step), stateDigest: digests.state };
}
