import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import type { Assignment, Attachment, Goodbye, Interrupt, Welcome } from '../../proto/gen/coordinator.js';
import { withDeadline } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import {
  type ActiveGeneration,
  type GenerationServices,
  type Position,
  startGeneration,
} from './active-generation.js';
import type { CoordinatorLink } from './coordinator-link.js';
import type { CoordinatorSession } from './coordinator-session.js';
import type { WorkerResources } from './generation.js';
import type { Downward } from './message-log.js';

/** A session that ended so may be followed by another: the connection broke, or this worker was silent. */
export function mayReconnect(error: unknown): boolean {
  const { code } = RondoError.from(error);
  return code === 'unavailable' || code === 'aborted';
}

/** Does what the coordinator says, through one session after the other. A generation outlives its session. */
export interface Follower {
  /**
   * Until Goodbye, which it returns. Calls `onEnding` when no other session can follow.
   *
   * @throws RondoError what ended the session.
   */
  follow(session: CoordinatorSession): Promise<Goodbye>;
  /** What this worker is at, for its next session; undefined when it was assigned to nothing. */
  attachment(): Attachment | undefined;
  /** It is assigned to a generation that has not begun. */
  isPreparing(): boolean;
  /** Ends the generation. */
  end(): Promise<void>;
}

export function createFollower(o: {
  readonly link: CoordinatorLink;
  readonly position: Position;
  /** What generations work with; called again when this worker joins anew. */
  prepare(welcome: Welcome): Promise<GenerationServices>;
  /** Hears of every assignment, while it is prepared for. */
  onAssigned(assignment: Assignment): void;
  onEnding(): void;
}): Follower {
  const { link, position } = o;
  let services: Promise<GenerationServices> | undefined;
  let active: ActiveGeneration | undefined;
  let deadlines = deadlinesOf(defaultSilenceMs);
  let standing: Promise<void> = Promise.resolve();
  let assigned: bigint | undefined;

  const fail = (thrown: unknown) => {
    const error = { remedy: '', ...RondoError.from(thrown).toPlain() };
    link.send({ $case: 'failed', value: { generation: 0n, step: position.step, ...error } });
  };
  const hearWelcome = (session: CoordinatorSession, welcome: Welcome) => {
    deadlines = deadlinesOf(1_000 * welcome.silenceSeconds);
    session.beat(deadlines.heartbeatMs);
    if (welcome.attached !== undefined) {
      link.drop(welcome.attached);
      link.open(session);
      return;
    }
    link.clear();
    link.open(session);
    const ended = active?.abort();
    active = undefined;
    assigned = undefined;
    services = (async () => {
      await ended;
      return o.prepare(welcome);
    })();
    services.then(({ resources: { shape } }) => {
      link.send({ $case: 'standby', value: { generation: 0n, kernels: shape.kernels } });
    }, fail);
  };
  const hearInterrupt = ({ generation, atOnce }: Interrupt) => {
    // Not waited for: a compute thread that hangs must not keep this from hearing Goodbye.
    const ended = atOnce ? active?.abort() : active?.interrupt();
    standing = (async () => {
      await ended;
      const { resources } = await services!;
      link.send({ $case: 'standby', value: { generation, held: await describeHeld(resources) } });
    })().catch(fail);
  };
  const hear = async (session: CoordinatorSession, message: Downward): Promise<Goodbye | null> => {
    switch (message.$case) {
      case 'welcome':
        hearWelcome(session, message.value);
        return null;
      case 'assignment':
        if (!services)
          throw new RondoError('internal', 'the coordinator sent an assignment before its welcome');
        await active?.abort();
        assigned = message.value.generation;
        active = startGeneration(message.value, services, position);
        o.onAssigned(message.value);
        return null;
      case 'begin':
        // What was reported before, the coordinator has recorded.
        link.clear();
        active?.begin();
        return null;
      case 'stop':
        active?.requestStop(message.value);
        return null;
      case 'snapshot':
        active?.requestSnapshot();
        return null;
      case 'recorded':
        link.drop(message.value);
        return null;
      case 'epochClosed':
        link.closeEpoch(message.value.epoch);
        return null;
      case 'interrupt':
        hearInterrupt(message.value);
        return null;
      case 'goodbye':
        o.onEnding();
        return message.value;
    }
  };

  return {
    async follow(session) {
      try {
        for await (const message of session.messages) {
          const goodbye = await hear(session, message);
          if (goodbye !== null) return goodbye;
        }
        throw new RondoError('internal', 'a session ends with Goodbye or an error');
      } catch (error) {
        if (!mayReconnect(error)) o.onEnding();
        throw error;
      } finally {
        link.close();
      }
    },
    attachment() {
      if (assigned === undefined) return undefined;
      return { generation: assigned, training: active?.isUnderWay() ?? false };
    },
    isPreparing: () => active?.isPreparing() ?? false,
    async end() {
      await withDeadline(Promise.all([active?.abort(), standing]), {
        timeoutMs: deadlines.abortMs,
        what: 'ending the generation',
      });
    },
  };
}

/** The state that this worker holds, if any. */
async function describeHeld({ held, compute }: WorkerResources) {
  if (held.step === null) return undefined;
  const { step, microBatches, evaluated } = held;
  const stateDigest = await compute.checksum();
  held.checksum = { step, digest: stateDigest };
  return {
    ...{ step: BigInt(step), stateDigest, microBatches: [...microBatches] },
    evaluated: evaluated.step === step ? [...evaluated.batches.keys()] : [],
  };
}
