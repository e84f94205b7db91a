import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Collector, type Metric, openCollector } from '../../../coordinator/telemetry/collector.js';
import { subjects } from '../../../proto/subjects.js';
import { RondoError } from '../../../runtime/errors.js';
import { openMetricsOutbox } from '../../../runtime/metrics-outbox.js';
import { startTestNats, type TestNats } from '../../support/nats.js';

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
    collector.publish('event', 'started', { event: 'started', step: 0 });
    const metrics = Array.from({ length: 1000 }, (_, step) => ({ kind: 'step', step }));
    await publishAll(metrics, 'w1');
    collector.publish('epoch', 'epoch-0', { epoch: 0, trainLoss: 1.5 });
    await Promise.all([collector.close({ settleMs: 10_000 }), collector.close({ settleMs: 10_000 })]);
    expect(heard.filter(({ kind }) => kind === 'step')).toEqual(metrics);
    expect(heard.filter(({ kind }) => kind !== 'step')).toEqual([
      { kind: 'event', runId, event: 'started', step: 0 },
      { kind: 'epoch', runId, epoch: 0, trainLoss: 1.5 },
    ]);
    expect(collector.counts()).toEqual({ received: 1002, published: 2, dropped: 0 });
  });

  it('begins where the stream stands, so that a resumed run is not told its past', async () => {
    const first: Metric[] = [];
    await (await collect(first)).close({ settleMs: 0 });
    await publishAll([{ kind: 'step', step: 1 }], 'a');
    const second: Metric[] = [];
    const collector = await collect(second);
    await publishAll([{ kind: 'step', step: 2 }], 'b');
    await collector.close({ settleMs: 10_000 });
    expect(second).toEqual([{ kind: 'step', step: 2 }]);
  });

  it('goes on with a server that was killed, with its store and without', async () => {
    const heard: Metric[] = [];
    const collector = await collect(heard);
    await publishAll(
      [
        { kind: 'step', step: 1 },
        { kind: 'step', step: 2 },
      ],
      'a',
    );
    await expect.poll(() => heard.length).toBe(2);
    await nats.kill();
    await nats.restart();
    await publishAll([{ kind: 'step', step: 3 }], 'b');
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(3);
    await nats.kill();
    await nats.restart({ emptyStore: true });
    await publishAll([{ kind: 'step', step: 4 }], 'c');
    await collector.close({ settleMs: 20_000 });
    expect(heard.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  });

  it('closes without a server, and says that its own metrics were dropped', async () => {
    const collector = await collect([]);
    await nats.kill();
    collector.publish('event', 'finished', { event: 'finished' });
    await collector.close({ settleMs: 200 });
    expect(collector.counts()).toEqual({ received: 0, published: 0, dropped: 1 });
  });

  it('passes over what is no metric', async () => {
    const heard: Metric[] = [];
    const collector = await collect(heard);
    await publishAll([{ step: 1 }, ['step'], { kind: 'step', step: 2 }], 'a');
    await collector.close({ settleMs: 10_000 });
    expect(heard).toEqual([{ kind: 'step', step: 2 }]);
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
    await publishAll(
      [
        { kind: 'step', step: 1 },
        { kind: 'step', step: 2 },
      ],
      'a',
    );
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
    collector.publish('event', 'x', { event: 'x' });
    await collector.close({ settleMs: 10_000 });
    expect(heard).toHaveLength(1);
  });
});
