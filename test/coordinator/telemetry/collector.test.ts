import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Collector, openCollector } from '../../../coordinator/telemetry/collector.js';
import { type Metric, subjects } from '../../../proto/metrics.js';
import { RondoError } from '../../../runtime/errors.js';
import { openMetricsOutbox } from '../../../runtime/metrics-outbox.js';
import { stepMetric } from '../../support/metrics.js';
import { startTestNats, type TestNats } from '../../support/nats.js';

const epoch = {
  kind: 'epoch',
  ...{ epoch: 0, trainLoss: 1.5, validLoss: null, errorRate: 0.25, balancedError: 0.25 },
  ...{ macroF1: 0.75, top5Error: 0, seconds: 2, imagesPerSecond: 50 },
} as const;
const dottedRunId = '2026.run.x';
const runId = 'run-x';
let nats: TestNats;
const open: Collector[] = [];

beforeEach(async () => {
  nats = await startTestNats();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((collector) => collector.close({ settleMs: 0 })));
  await nats.close();
});

async function collect(
  into: Metric[],
  o: Partial<Parameters<typeof openCollector>[0]> = {},
): Promise<Collector> {
  const { url, token } = nats;
  const onMetric = (metric: Metric) => void into.push(metric);
  const collector = await openCollector({ url, token, runId, onMetric, ...o });
  open.push(collector);
  return collector;
}

/** Publishes as a worker does; resolves when the server has everything. */
async function publishAll(metrics: readonly object[], prefix: string): Promise<void> {
  const outbox = openMetricsOutbox({ url: nats.url, token: nats.token, name: 'test' });
  const subject = subjects.step(runId, 'w1');
  for (const [index, metric] of metrics.entries()) outbox.publish(subject, `${prefix}/${index}`, metric);
  await outbox.close({ timeoutMs: 20_000 });
  expect(outbox.counts()).toEqual({ published: metrics.length, dropped: 0 });
}

describe('openCollector', () => {
  it('hears the coordinator’s own metrics and every worker’s, and has them all when it closes', async () => {
    const heard: Metric[] = [];
    const collector = await collect(heard);
    collector.publish('started', { kind: 'event', event: 'started', step: 0 });
    const metrics = Array.from({ length: 1000 }, (_, step) => stepMetric(runId, step));
    await publishAll(metrics, 'w1');
    collector.publish('epoch-0', epoch);
    await Promise.all([collector.close({ settleMs: 10_000 }), collector.close({ settleMs: 10_000 })]);
    expect(heard.filter(({ kind }) => kind === 'step')).toEqual(metrics);
    expect(heard.filter(({ kind }) => kind !== 'step')).toEqual([
      { kind: 'event', runId, event: 'started', step: 0 },
      { ...epoch, runId },
    ]);
    expect(collector.counts()).toEqual({ received: 1002, published: 2, dropped: 0 });
  });

  it('begins where the stream stands, so that a resumed run is not told its past', async () => {
    const first: Metric[] = [];
    await (await collect(first)).close({ settleMs: 0 });
    await publishAll([stepMetric(runId, 1)], 'a');
    const second: Metric[] = [];
    const collector = await collect(second);
    await publishAll([stepMetric(runId, 2)], 'b');
    await collector.close({ settleMs: 10_000 });
    expect(second).toEqual([stepMetric(runId, 2)]);
  });

  it('begins after the metric that it is told, so that nothing is missed that came meanwhile', async () => {
    const [first, second]: Metric[][] = [[], []];
    const numbers: number[] = [];
    const onMetric = (metric: Metric, sequence: number) => {
      first.push(metric);
      numbers.push(sequence);
    };
    const collector = await collect(first, { onMetric });
    await publishAll([stepMetric(runId, 1), stepMetric(runId, 2)], 'a');
    await collector.close({ settleMs: 10_000 });
    expect(numbers).toEqual([1, 2]);
    await publishAll([stepMetric(runId, 3)], 'b');
    const next = await collect(second, { after: numbers.at(-1)! });
    await publishAll([stepMetric(runId, 4)], 'c');
    await next.close({ settleMs: 10_000 });
    expect(second).toEqual([stepMetric(runId, 3), stepMetric(runId, 4)]);
  });

  it('goes on with a server that was killed, with its store and without', async () => {
    const heard: Metric[] = [];
    const collector = await collect(heard);
    await publishAll([stepMetric(runId, 1), stepMetric(runId, 2)], 'a');
    await expect.poll(() => heard.length).toBe(2);
    await nats.kill();
    await nats.restart();
    await publishAll([stepMetric(runId, 3)], 'b');
    await expect.poll(() => heard.length).toBe(3);
    await nats.kill();
    await nats.restart({ emptyStore: true });
    await publishAll([stepMetric(runId, 4)], 'c');
    await collector.close({ settleMs: 20_000 });
    expect(heard).toEqual([1, 2, 3, 4].map((step) => stepMetric(runId, step)));
  });

  it('closes without a server, and says that its own metrics were dropped', async () => {
    const collector = await collect([]);
    await nats.kill();
    collector.publish('finished', { kind: 'event', event: 'finished', step: 3 });
    await collector.close({ settleMs: 200 });
    expect(collector.counts()).toEqual({ received: 0, published: 0, dropped: 1 });
  });

  it('passes over what is no metric, and says what is wrong with it', async () => {
    const heard: Metric[] = [];
    const refused: RondoError[] = [];
    const collector = await collect(heard, { onRefused: (error) => refused.push(error) });
    const text = { ...stepMetric(runId, 1), loss: '1.5' };
    const unknown = { ...stepMetric(runId, 1), kind: 'stage' };
    const [infinite, later] = [
      { ...stepMetric(runId, 2), loss: Number.NaN },
      { ...stepMetric(runId, 3), more: 1 },
    ];
    await publishAll([text, unknown, ['step'], infinite, later], 'a');
    await collector.close({ settleMs: 10_000 });
    expect(heard).toEqual([{ ...infinite, loss: null }, stepMetric(runId, 3)]);
    expect(collector.counts().received).toBe(2);
    expect(refused.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^message 1 of the run's stream: loss: .*expected number, received string$/),
      expect.stringMatching(/^message 2 of the run's stream: kind: /),
      expect.stringMatching(/^message 3 of the run's stream: .*expected object/),
    ]);
  });

  it('tells of a receiver that fails, and hands it nothing more', async () => {
    const failures: RondoError[] = [];
    let calls = 0;
    const collector = await collect([], {
      onMetric() {
        calls += 1;
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      },
      onFailure: (error) => failures.push(error),
    });
    await publishAll([stepMetric(runId, 1), stepMetric(runId, 2)], 'a');
    await collector.close({ settleMs: 10_000 });
    expect(calls).toBe(1);
    expect(failures).toMatchObject([{ code: 'resource-exhausted' }]);
  });

  it('says where there is no server, and when the token is wrong', async () => {
    await expect(collect([], { token: 'wrong' })).rejects.toThrow(/Authorization/);
    await nats.kill();
    const failure = collect([]);
    await expect(failure).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(nats.url),
    });
    await expect(failure).rejects.toBeInstanceOf(RondoError);
  });

  it('makes a stream of a run id that no stream may have as its name', async () => {
    const heard: Metric[] = [];
    const collector = await collect(heard, { runId: dottedRunId });
    collector.publish('x', { kind: 'event', event: 'stopped', step: 3 });
    await collector.close({ settleMs: 10_000 });
    expect(heard).toHaveLength(1);
  });
});
