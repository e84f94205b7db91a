import { afterEach, expect, it } from 'vitest';
import { logEvent } from '../../../coordinator/telemetry/run-events.js';
import { openLog } from '../../../runtime/log.js';

const lines: Record<string, unknown>[] = [];
const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);

afterEach(() => {
  lines.length = 0;
  openLog({ program: 'coordinator', environment: {} });
});

it('logs the events of a run at levels that say how grave they are, with the run as soon as it has a name', () => {
  openLog({ program: 'coordinator', environment: { RONDO_LOG: 'debug' }, write });
  logEvent({ kind: 'warning', text: 'a class has one image' });
  logEvent({
    ...{ kind: 'prepared', runId: 'first', directory: 'runs/first', arch: 'resnet18', size: 32, workers: 2 },
    ...{ classes: 2, train: 8, valid: 2, quarantined: 0, epochs: 1, stepsPerEpoch: 2, startStep: 0 },
  });
  logEvent({ kind: 'step', step: 0, epoch: 0, loss: null, samples: 4, seconds: 1, skipped: true });
  logEvent({ kind: 'worker-lost', worker: 'worker-1', rank: 1, step: 1, reason: 'silent for 5 s' });
  expect(lines).toMatchObject([
    { level: 'warn', event: 'warning', text: 'a class has one image' },
    { level: 'info', event: 'prepared', run: 'first', workers: 2 },
    { level: 'debug', event: 'step', run: 'first', step: 0, loss: null },
    { level: 'warn', event: 'worker-lost', run: 'first', worker: 'worker-1', rank: 1 },
  ]);
  expect(lines[0]).not.toHaveProperty('run');
});
