import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';

const metadata = z.object({ uid: z.string(), resourceVersion: z.string() });
const count = z.int().nonnegative().default(1);

/** What keeps a number of pods, as far as a run asks for it. */
export interface WorkloadKind {
  readonly apiVersion: string;
  /** As it stands in paths. */
  readonly resource: string;
  /** Of an object: how many pods it is to have now. */
  readonly schema: z.ZodType<{ uid: string; resourceVersion: string; pods: number }>;
  /** The part of an object's path that its size and its annotations are patched at. */
  readonly scaleAt: '' | '/scale';
  readonly annotateAt: '' | '/status';
  /** The `spec` of so many pods. */
  sizeOf(pods: number): object;
  /** Whether it starts workers again that ended because the run was over. */
  readonly restartsEnded: boolean;
}

export const workloadKinds = {
  /** An Indexed one, which is elastic where both numbers change together, and no other way. */
  Job: {
    ...{ apiVersion: 'batch/v1', resource: 'jobs', scaleAt: '', annotateAt: '', restartsEnded: false },
    schema: z
      .object({ metadata, spec: z.object({ parallelism: count, suspend: z.boolean().default(false) }) })
      .transform(({ metadata, spec }) => ({ ...metadata, pods: spec.suspend ? 0 : spec.parallelism })),
    sizeOf: (pods) => ({ parallelism: pods, completions: pods }),
  },
  /**
   * Patched at its subresources alone: the right to the object itself would be one to any pod of the namespace, because
   * its template can change. An update of the status takes annotations, and leaves `spec` as it was.
   */
  StatefulSet: {
    ...{ apiVersion: 'apps/v1', resource: 'statefulsets', restartsEnded: true },
    ...{ scaleAt: '/scale', annotateAt: '/status' },
    schema: z
      .object({ metadata, spec: z.object({ replicas: count }) })
      .transform(({ metadata, spec }) => ({ ...metadata, pods: spec.replicas })),
    sizeOf: (pods) => ({ replicas: pods }),
  },
} as const satisfies Record<string, WorkloadKind>;

/** The one whose pods are a run's workers. */
export interface WorkloadName {
  readonly kind: keyof typeof workloadKinds;
  readonly name: string;
}

/** @param text KIND/NAME. @throws RondoError invalid-argument for another kind. */
export function parseWorkloadName(text: string): WorkloadName {
  const [, kind, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (name !== undefined && (kind === 'Job' || kind === 'StatefulSet')) return { kind, name };
  throw new RondoError('invalid-argument', `${text} names neither a Job nor a StatefulSet`, {
    remedy: 'write Job/NAME or StatefulSet/NAME',
  });
}
