import { expect, it } from 'vitest';
import { CoordinatorMessage } from '../../proto/gen/coordinator.js';
import {
  driveRunning,
  planOf,
  readyMessage,
  sessionOf,
  standbyMessage,
} from '../support/membership-driver.js';

const workers = 1_000;

/** Two micro-batches for each worker. */
function largePlan(step: number) {
  const microBatches = Array.from({ length: 2 * workers }, (_, position) => {
    return { start: 2 * position, end: 2 * position + 2 };
  });
  const sampleIds = Uint32Array.from({ length: 4 * workers }, (_, index) => 4 * workers * step + index);
  return { ...planOf(step), microBatches, sampleIds };
}

it('a thousand workers regroup when one is lost, in seconds of the coordinator and megabytes of messages', () => {
  const driver = driveRunning(workers, 0, { planOf: largePlan });
  const before = driver.effects.length;
  const lost = workers / 2;
  const others = Array.from({ length: workers }, (_, index) => index).filter((index) => index !== lost);
  const started = process.cpuUsage();
  driver.dispatch({ kind: 'closed', session: sessionOf(lost), reason: 'closed' });
  for (const index of others) driver.say(sessionOf(index), standbyMessage(1n, 0, 'same'));
  for (const index of others) driver.say(sessionOf(index), readyMessage('same', 0, 2n));
  const { user, system } = process.cpuUsage(started);
  const effects = driver.effects.slice(before);
  const recovered = effects.filter(({ kind }) => kind === 'recovered');
  expect(recovered).toMatchObject([{ value: { worldSize: workers - 1 } }]);
  const messages = effects.flatMap((effect) => (effect.kind === 'send' ? [effect.message] : []));
  // To each: that the generation ends, its place in the next, and that this begins.
  expect(messages).toHaveLength(3 * others.length);
  const bytes = messages.reduce((sum, each) => sum + CoordinatorMessage.encode(each).finish().length, 0);
  // An assignment names all peers.
  expect(bytes / others.length / workers).toBeLessThan(64);
  // It takes a tenth of that.
  expect((user + system) / 1e6).toBeLessThan(6);
});
