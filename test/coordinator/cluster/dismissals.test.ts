import { expect, it } from 'vitest';
import { followDismissals } from '../../../coordinator/cluster/dismissals.js';
import type { WorkerMessage } from '../../../proto/gen/coordinator.js';
import { registerMessage } from '../../support/membership-driver.js';

it('knows a process that asked to leave, or was told that all is done, by its id and number', () => {
  const dismissals = followDismissals();
  const say = (session: number, message: WorkerMessage['message']) => dismissals.hear(session, { message });
  const register = (session: number, workerId: string) => {
    const message = registerMessage(workerId, 7_000);
    say(session, message);
    return message?.$case === 'register' ? message.value.pid : -1;
  };
  const pid = register(1, 'worker-0');
  register(2, 'worker-1');
  register(3, 'worker-2');
  say(2, { $case: 'leave', value: {} });
  dismissals.dismiss(3);
  for (const session of [1, 2, 3]) dismissals.forget(session);
  const known = [0, 1, 2].map((index) => dismissals.has(`worker-${index}`, pid));
  expect(known).toEqual([false, true, true]);
  expect(dismissals.has('worker-1', pid + 1)).toBe(false);
});
