import type { StepTimes, WorkerMessage } from '../../proto/gen/coordinator.js';
import type { MemberStatus } from '../../proto/run-status.js';

type UsualStep = NonNullable<MemberStatus['step']>;

/** What workers' messages say of their speed. It decides nothing. */
export interface WorkerFigures {
  hear(session: number, message: WorkerMessage): void;
  forget(session: number): void;
  of(session: number): { readonly cpuQuota: number | null; readonly step: UsualStep | null };
}

/** The weight of a step in the moving averages. */
const stepWeight = 0.2;

export function followWorkers(): WorkerFigures {
  const steps = new Map<number, UsualStep>();
  const quotas = new Map<number, number | null>();
  return {
    hear(session, { message }) {
      if (message?.$case === 'heartbeat') quotas.set(session, message.value.cpuQuota ?? null);
      if (message?.$case !== 'stepCommitted' || message.value.times === undefined) return;
      const { times, sampleIds } = message.value;
      steps.set(session, average(steps.get(session), stepOf(times, sampleIds.length)));
    },
    forget(session) {
      steps.delete(session);
      quotas.delete(session);
    },
    of: (session) => ({ cpuQuota: quotas.get(session) ?? null, step: steps.get(session) ?? null }),
  };
}

function stepOf({ data, compute, wait, cpu }: StepTimes, samples: number): UsualStep {
  return { own: data + compute, compute, data, wait, samples, cores: compute > 0 ? cpu / compute : 0 };
}

function average(before: UsualStep | undefined, now: UsualStep): UsualStep {
  if (before === undefined) return now;
  const mix = (key: keyof UsualStep) => before[key] + stepWeight * (now[key] - before[key]);
  return {
    ...{ own: mix('own'), compute: mix('compute'), data: mix('data') },
    ...{ wait: mix('wait'), samples: mix('samples'), cores: mix('cores') },
  };
}
