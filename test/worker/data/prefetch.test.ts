import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { prefetch } from '../../../worker/data/prefetch.js';

/** Preparations that the test ends by hand; counts what is alive. */
function makeWorkshop() {
  const pending = new Map<number, { finish(): void; fail(error: Error): void }>();
  const counts = { alive: 0, most: 0, started: 0 };
  const prepare = (request: number) => {
    counts.started += 1;
    counts.alive += 1;
    counts.most = Math.max(counts.most, counts.alive);
    const item = {
      request,
      release: () => {
        counts.alive -= 1;
      },
    };
    return new Promise<typeof item>((resolve, reject) => {
      const fail = (error: Error) => {
        counts.alive -= 1;
        reject(error);
      };
      pending.set(request, { finish: () => resolve(item), fail });
    });
  };
  return { pending, counts, prepare };
}

const never = new AbortController().signal;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('prefetch', () => {
  it.each([1, 2, 3, 5])(
    'keeps the order and at most %i alive, though preparations end backwards',
    async (depth) => {
      const { pending, counts, prepare } = makeWorkshop();
      const got: number[] = [];
      const items = prefetch(numbers(11), prepare, { depth, signal: never });
      for (;;) {
        const next = items.next();
        await turn();
        for (const [request, { finish }] of [...pending].reverse()) {
          finish();
          pending.delete(request);
          await turn();
        }
        const { value, done } = await next;
        if (done) break;
        got.push(value.request);
        expect(counts.alive).toBeLessThanOrEqual(depth);
        value.release();
        value.release();
      }
      expect(got).toEqual(numbers(11));
      expect(counts).toEqual({ alive: 0, most: depth, started: 11 });
    },
  );

  it('lets all that it prepares listen to its end without a warning', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => void warnings.push(warning);
    process.on('warning', warn);
    const listen = async (_: number, signal: AbortSignal) => {
      signal.addEventListener('abort', () => {});
      return { release() {} };
    };
    const items = prefetch(numbers(12), listen, { depth: 12, signal: never });
    await items.next();
    await turn();
    process.off('warning', warn);
    expect(warnings).toEqual([]);
    await items.return();
  });

  it('gives a consumer that holds everything exactly one more', async () => {
    const { counts } = makeWorkshop();
    const prepare = async (request: number) => {
      counts.alive += 1;
      return {
        request,
        release: () => {
          counts.alive -= 1;
        },
      };
    };
    const held: { release(): void }[] = [];
    for await (const item of prefetch(numbers(5), prepare, { depth: 2, signal: never })) {
      held.push(item);
      expect(counts.alive).toBe(Math.max(2, held.length));
    }
    for (const item of held) item.release();
    expect(counts.alive).toBe(0);
  });

  it('starts the next preparation when one is released, without being asked', async () => {
    const { pending, counts, prepare } = makeWorkshop();
    const items = prefetch(numbers(4), prepare, { depth: 2, signal: never });
    const first = items.next();
    pending.get(0)!.finish();
    const { value } = await first;
    expect(counts.started).toBe(2);
    value!.release();
    expect(counts.started).toBe(3);
  });

  it('begins nothing beside the first before that is ready, nor after it has failed', async () => {
    const { pending, counts, prepare } = makeWorkshop();
    const items = prefetch(numbers(9), prepare, { depth: 4, signal: never });
    const first = items.next();
    await turn();
    expect(counts.started).toBe(1);
    pending.get(0)!.finish();
    await turn();
    expect(counts.started).toBe(4);
    await first;
    await items.return();

    const failing = prefetch(numbers(9), prepare, { depth: 4, signal: never });
    const failed = failing.next();
    pending.get(0)!.fail(new Error('broken'));
    await expect(failed).rejects.toThrow('broken');
    expect(counts.started).toBe(5);
  });

  it('rejects in turn, and releases what came after', async () => {
    const { pending, counts, prepare } = makeWorkshop();
    const items = prefetch(numbers(9), prepare, { depth: 4, signal: never });
    const first = items.next();
    pending.get(0)!.finish();
    const { value } = await first;
    pending.get(1)!.fail(new Error('broken'));
    pending.get(2)!.finish();
    value!.release();
    await expect(items.next()).rejects.toThrow('broken');
    for (const { finish } of pending.values()) finish();
    await turn();
    expect(counts.alive).toBe(0);
  });

  it('rejects at once when the signal comes, whatever is still in preparation', async () => {
    const { pending, counts, prepare } = makeWorkshop();
    const controller = new AbortController();
    const items = prefetch(numbers(9), prepare, { depth: 3, signal: controller.signal });
    const first = items.next();
    pending.get(0)!.finish();
    await first;
    const next = items.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
    expect(counts.started).toBe(3);
    for (const { finish } of pending.values()) finish();
    await turn();
    expect(counts.alive).toBe(1);
    const late = prefetch(numbers(9), prepare, { depth: 3, signal: controller.signal });
    await expect(late.next()).rejects.toMatchObject({ code: 'cancelled' });
    expect(counts.started).toBe(3);
  });

  it('releases what was prepared when the consumer leaves', async () => {
    const counts = { alive: 0 };
    const prepare = async () => {
      counts.alive += 1;
      return {
        release: () => {
          counts.alive -= 1;
        },
      };
    };
    for await (const item of prefetch(numbers(9), prepare, { depth: 4, signal: never })) {
      item.release();
      break;
    }
    await turn();
    expect(counts.alive).toBe(0);
  });
});
