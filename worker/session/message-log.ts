import type { CoordinatorMessage, WorkerMessage } from '../../proto/gen/coordinator.js';
import { addLogFields, type LoggedLevel, log } from '../../runtime/log.js';

/** What goes up, and what comes down, without the envelope. */
export type Upward = NonNullable<WorkerMessage['message']>;
export type Downward = NonNullable<CoordinatorMessage['message']>;

type Line = readonly [level: LoggedLevel, details: Readonly<Record<string, unknown>>];

/** Logs what this worker tells the coordinator. */
export function logSent(message: Upward): void {
  if (message.$case === 'register') addLogFields({ worker: message.value.workerId });
  const [level, details] = describeSent(message);
  log(level, message.$case, details);
}

/** Logs what the coordinator tells this worker. */
export function logReceived(message: Downward): void {
  if (message.$case === 'welcome') addLogFields({ run: message.value.runId });
  if (message.$case === 'assignment') {
    const { generation, rank } = message.value;
    addLogFields({ generation: Number(generation), rank });
  }
  const [level, details] = describeReceived(message);
  log(level, message.$case, details);
}

// Fields are named one by one: a welcome holds a secret, and an evaluation is long.

function describeSent({ $case, value }: Upward): Line {
  switch ($case) {
    case 'register': {
      const { peerAddress, host, version } = value;
      return ['info', { peerAddress, host, version }];
    }
    case 'heartbeat':
      return ['trace', { step: Number(value.step), activity: value.activity }];
    case 'ready':
      return ['info', { step: Number(value.step), stateDigest: value.stateDigest }];
    case 'stepCommitted': {
      const { loss, samples, skipped, seconds } = value;
      return ['debug', { step: Number(value.step), loss, samples, skipped, seconds }];
    }
    case 'evaluation':
      return ['info', { step: Number(value.step), epoch: value.epoch, samples: value.sampleIds.length }];
    case 'epochCompleted': {
      const { epoch, whole, stateDigest, parameterDigest } = value;
      return ['info', { step: Number(value.step), epoch, whole, stateDigest, parameterDigest }];
    }
    case 'finished':
      return ['info', { step: Number(value.step), stopped: value.stopped }];
    case 'standby': {
      const { held } = value;
      return ['info', held === undefined ? {} : { step: Number(held.step), stateDigest: held.stateDigest }];
    }
    case 'leave':
      return ['info', {}];
    case 'failed': {
      const { code, message, remedy } = value;
      return ['error', { step: Number(value.step), code, message, remedy }];
    }
  }
}

function describeReceived({ $case, value }: Downward): Line {
  switch ($case) {
    case 'welcome':
      return ['info', { maxWorkers: value.maxWorkers, metrics: value.natsUrl !== '' }];
    case 'assignment':
      return ['info', { worldSize: value.worldSize, startStep: Number(value.startStep) }];
    case 'begin':
    case 'snapshot':
      return ['info', {}];
    case 'recorded':
      return ['debug', { steps: Number(value.steps), epochs: value.epochs }];
    case 'epochClosed':
      return ['debug', { epoch: value.epoch }];
    case 'interrupt':
      return ['info', { generation: Number(value.generation) }];
    case 'stop':
      return ['info', { reason: value.reason }];
    case 'goodbye':
      return [value.ok ? 'info' : 'warn', { ok: value.ok, reason: value.reason }];
  }
}
