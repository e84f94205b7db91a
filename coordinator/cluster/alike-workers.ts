import type { Kernels, WorkerMessage } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { formatKernels } from '../run-store/ledger.js';

/** Refuses workers whose kernels are unlike those of the run, so that it stays bit-reproducible. */
export interface KernelCheck {
  /** Why the worker of this session may not take part; null when it may. */
  refusalOf(session: number, message: WorkerMessage): RondoError | null;
  forget(session: number): void;
}

/** @param known what the run's workers computed with before it was resumed, in words; null before the first. */
export function checkKernels(known: string | null): KernelCheck {
  let first = known === null ? null : { name: 'others of this run', kernels: known };
  const names = new Map<number, string>();
  return {
    refusalOf(session, { message }) {
      if (message?.$case === 'register') names.set(session, message.value.workerId);
      if (message?.$case !== 'standby' || message.value.kernels === undefined) return null;
      const name = names.get(session) ?? 'a worker';
      const kernels = describe(message.value.kernels);
      first ??= { name, kernels };
      if (kernels === first.kernels) return null;
      return new RondoError(
        'failed-precondition',
        `${name} computes with ${kernels}, ${first.name} with ${first.kernels}: the run would not be bit-reproducible`,
        { remedy: 'have workers on machines of one kind join, or start the run with --mixed allow' },
      );
    },
    forget: (session) => void names.delete(session),
  };
}

function describe(kernels: Kernels): string {
  return formatKernels({ ...kernels, oneDnn: kernels.oneDnn ?? null });
}
