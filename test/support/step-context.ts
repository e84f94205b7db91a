import type { StepContext } from '../../worker/training/step.js';
import { type FakeCompute, fakeShape } from './fake-compute.js';

/** A step's context on the fake network, which asks for nothing and keeps nothing unless told otherwise. */
export function stepContext(
  o: Pick<StepContext, 'config' | 'compute' | 'ring' | 'signal'> &
    Pick<FakeCompute, 'vector'> &
    Partial<StepContext>,
): StepContext {
  return {
    isAlone: false,
    layout: fakeShape.reductions.all!,
    requests: () => ({ stop: false, keep: false, snapshot: false }),
    keep() {},
    abandoned: new AbortController().signal,
    ...o,
  };
}
