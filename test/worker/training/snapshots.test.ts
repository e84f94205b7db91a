import { describe, expect, it } from 'vitest';
import { createHeldSnapshots, createSnapshots } from '../../../worker/training/snapshots.js';
import { digestState } from '../../../worker/training/state-digests.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';

describe('snapshots', () => {
  it('lends what was taken after a step, unchanged while training goes on', async () => {
    const compute = createFakeCompute();
    const snapshots = createSnapshots(compute, fakeShape.state);
    for (let step = 1; step <= 3; step++) {
      compute.state.fill(step);
      await snapshots.take(step);
    }
    const lent = snapshots.lend(2)!;
    for (let step = 4; step <= 9; step++) {
      compute.state.fill(step);
      await snapshots.take(step);
      expect([...lent.snapshot.values]).toEqual(new Array(fakeShape.state.length).fill(2));
    }
    expect(snapshots.lend(9)?.snapshot.values[0]).toBe(9);
  });

  it('reuses the memory of the oldest once nobody reads it', async () => {
    const snapshots = createSnapshots(createFakeCompute(), fakeShape.state);
    const buffers = new Set<ArrayBufferLike>();
    for (let step = 1; step <= 20; step++) buffers.add((await snapshots.take(step)).values.buffer);
    expect(buffers.size).toBe(2);
    expect(snapshots.lend(18)).toBeUndefined();
    expect(snapshots.lend(19)).toBeDefined();
  });

  it('keeps one as variables hold it, and more only while they are read', async () => {
    const compute = createFakeCompute();
    const snapshots = createHeldSnapshots(compute, fakeShape.held);
    const buffers = new Set<ArrayBufferLike>();
    for (let step = 1; step <= 5; step++) buffers.add((await snapshots.take(step)).values.buffer);
    expect(buffers.size).toBe(1);
    const lent = snapshots.lend(5)!;
    compute.state.fill(6);
    buffers.add((await snapshots.take(6)).values.buffer);
    expect(buffers.size).toBe(2);
    expect([...lent.snapshot.values]).toEqual(new Array(fakeShape.held.length).fill(0));
    expect(compute.calls).toEqual(new Array(6).fill('saveHeld'));
  });

  it('takes the current state once, and forgets what it held for a step that comes anew', async () => {
    const compute = createFakeCompute();
    const snapshots = createSnapshots(compute, fakeShape.state);
    const first = await snapshots.hold(3);
    expect(await snapshots.hold(3)).toBe(first);
    compute.state.fill(7);
    await snapshots.put(3, (values) => compute.save(values));
    expect(snapshots.lend(3)?.snapshot.values[0]).toBe(7);
  });

  it('is taken once for all that ask at the same time', async () => {
    const compute = createFakeCompute();
    const snapshots = createSnapshots(compute, fakeShape.state);
    const [one, other] = await Promise.all([snapshots.hold(3), snapshots.hold(3)]);
    expect(one).toBe(other);
    expect(compute.calls).toEqual(['save']);
    await snapshots.hold(4);
    expect(compute.calls).toEqual(['save', 'save']);
  });

  it('keeps what is being digested, and digests it once', async () => {
    const compute = createFakeCompute();
    const snapshots = createSnapshots(compute, fakeShape.state);
    compute.state.fill(1);
    const expected = await digestState(compute.state, fakeShape.state);
    const first = await snapshots.take(1);
    const digesting = first.digests();
    for (let step = 2; step <= 6; step++) {
      compute.state.fill(step);
      await snapshots.take(step);
    }
    expect(await digesting).toEqual(expected);
    expect(first.digests()).toBe(digesting);
    const replaced = await snapshots.take(7);
    for (const step of [8, 9, 10]) await snapshots.take(step);
    expect(() => replaced.digests()).toThrow('before it is replaced');
  });

  it('does not lend what could not be filled', async () => {
    const snapshots = createSnapshots(createFakeCompute(), fakeShape.state);
    await expect(snapshots.put(3, () => Promise.reject(new Error('broken stream')))).rejects.toThrow(
      'broken stream',
    );
    expect(snapshots.lend(3)).toBeUndefined();
  });
});
