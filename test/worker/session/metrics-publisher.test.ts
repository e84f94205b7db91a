import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Collector, openCollector } from '../../../coordinator/telemetry/collector.js';
import { type Metric, subjects } from '../../../proto/metrics.js';
import { openLog } from '../../../runtime/log.js';
import { type MetricsPublisher, openPublisher } from '../../../worker/session/metrics-publisher.js';
import { stepMetric } from '../../support/metrics.js';
import { startTestNats, type TestNats } from '../../support/nats.js';

const runId = 'run-1';
/** Far more than it takes, on a machine that has other work too. */
const patientMs = 300_000;
const subject = subjects.step(runId, 'w0');
let nats: TestNats;
let collector: Collector | undefined;
let publishers: MetricsPublisher[] = [];
let metrics: Metric[] = [];

beforeEach(async () => {
  nats = await startTestNats();
});

afterEach(async () => {
  await Promise.all(publishers.map((publisher) => publisher.close({ timeoutMs: 0 })));
  await collector?.close({ settleMs: 0 });
  await nats.close();
  publishers = [];
  collector = undefined;
  metrics = [];
});

async function collect(): Promise<void> {
  const { url, token } = nats;
  collector = await openCollector({ url, token, runId, onMetric: (metric) => metrics.push(metric) });
}

function open(o: { workerId?: string; capacity?: number; url?: string } = {}): MetricsPublisher {
  const publisher = openPublisher({ url: nats.url, token: nats.token, runId, workerId: 'w0', ...o });
  publishers.push(publisher);
  return publisher;
}

function publishSteps(publisher: MetricsPublisher, start: number, end: number): void {
  for (let step = start; step < end; step += 1)
    publisher.publish(subject, `w0/${step}`, stepMetric(runId, step));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

const steps = () => metrics.map((metric) => metric.kind === 'step' && metric.step);

describe('a worker’s metrics', () => {
  it('have one line in the log while they wait for a server that is not reached', async () => {
    const lines: string[] = [];
    openLog({ program: 'test', environment: { RONDO_LOG: 'warn' }, write: (text) => void lines.push(text) });
    onTestFinished(() => openLog({ program: 'test', environment: {}, write() {} }));
    const publisher = open({ url: 'nats://127.0.0.1:1' });
    publishSteps(publisher, 0, 2);
    await expect.poll(() => lines).not.toEqual([]);
    // Some attempts later.
    await publisher.settle({ timeoutMs: 1_000 });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      ...{
        event: 'metrics wait',
        reason: expect.stringMatching(/no connection to the NATS server at nats:\/\/127\.0\.0\.1:1/),
      },
    });
  });

  it('arrive once and in order, though the same are published twice', async () => {
    await collect();
    const [one, same] = [open(), open()];
    publishSteps(one, 0, 300);
    await one.close({ timeoutMs: patientMs });
    publishSteps(same, 100, 310);
    await same.close({ timeoutMs: patientMs });
    await collector?.close({ settleMs: 10_000 });
    expect(steps()).toEqual(range(0, 310));
    expect(one.counts()).toEqual({ published: 300, dropped: 0 });
    expect(collector?.counts()).toMatchObject({ received: 310 });
  });

  it('wait while the server is away, and arrive when it is back on the same port and store', async () => {
    await collect();
    const publisher = open();
    publishSteps(publisher, 0, 50);
    await expect.poll(() => metrics.length).toBeGreaterThan(20);
    await nats.kill();
    publishSteps(publisher, 50, 500);
    await nats.restart();
    publishSteps(publisher, 500, 600);
    await publisher.close({ timeoutMs: patientMs });
    await collector?.close({ settleMs: 10_000 });
    expect(steps()).toEqual(range(0, 600));
    expect(publisher.counts()).toEqual({ published: 600, dropped: 0 });
  });

  it('lose the oldest when more wait than there is room for, and say how many', async () => {
    await collect();
    const publisher = open({ capacity: 100 });
    publishSteps(publisher, 0, 10);
    await expect.poll(() => publisher.counts().published).toBe(10);
    await nats.kill();
    publishSteps(publisher, 10, 1010);
    expect(publisher.counts()).toEqual({ published: 10, dropped: 900 });
    await nats.restart();
    await expect.poll(() => publisher.counts().published).toBe(110);
    await collector?.close({ settleMs: 10_000 });
    expect(steps()).toEqual([...range(0, 10), ...range(910, 1010)]);
  });

  it('are dropped and counted at close when the server stays away', async () => {
    await collect();
    await nats.kill();
    const publisher = open();
    publishSteps(publisher, 0, 25);
    await publisher.close({ timeoutMs: 100 });
    publisher.publish(subject, 'late', { kind: 'step' });
    expect(publisher.counts()).toEqual({ published: 0, dropped: 26 });
  });

  it('wait for a stream that is made later', async () => {
    const publisher = open();
    publishSteps(publisher, 0, 5);
    await collect();
    await publisher.close({ timeoutMs: patientMs });
    await collector?.close({ settleMs: 10_000 });
    expect(steps()).toEqual(range(0, 5));
  });

  it('that cannot be said or sent are dropped alone', async () => {
    await collect();
    const publisher = open();
    publisher.publish(subject, 'a', stepMetric(runId, 1));
    publisher.publish(subject, 'b', { kind: 'step', step: 2n });
    publisher.publish(subject, 'c', { kind: 'step', text: 'x'.repeat(2 ** 21) });
    publisher.publish(subject, 'd', stepMetric(runId, 4));
    await publisher.close({ timeoutMs: patientMs });
    await collector?.close({ settleMs: 10_000 });
    expect(steps()).toEqual([1, 4]);
    expect(publisher.counts()).toEqual({ published: 2, dropped: 2 });
  });

  it('go nowhere when metrics are off', async () => {
    const publisher = open({ url: '' });
    publishSteps(publisher, 0, 10);
    await publisher.close({ timeoutMs: 0 });
    expect(publisher.counts()).toEqual({ published: 0, dropped: 0 });
  });
});
