import { describe, expect, it } from 'vitest';
import { giveFrame, poolMemory, takeFrame } from '../../../../worker/collective/codec/frame-pool.js';
import { chunkBytes } from '../../../../worker/collective/geometry.js';

describe('the frame pool', () => {
  it('has frames for chunks, none overlapping another, and fresh memory when it has no more', () => {
    const frames = Array.from({ length: 40 }, () => takeFrame(43 + chunkBytes));
    for (const [index, frame] of frames.entries()) frame.fill(index, 0, 1).fill(index, frame.length - 1);
    for (const [index, frame] of frames.entries()) {
      expect(frame.length).toBe(43 + chunkBytes);
      expect([frame[0], frame[frame.length - 1]]).toEqual([index, index]);
    }
    const pooled = frames.filter(({ buffer }) => buffer === poolMemory);
    expect(pooled.length).toBeGreaterThan(0);
    expect(pooled.length).toBeLessThan(frames.length);
    for (const frame of frames) giveFrame(frame);
    expect(takeFrame(10).buffer).toBe(poolMemory);
  });

  it('takes a frame back once', () => {
    const frame = takeFrame(1000);
    giveFrame(frame);
    expect(() => giveFrame(frame)).toThrow('given up twice');
  });

  it('leaves what does not fit to fresh memory', () => {
    const frame = takeFrame(2 * chunkBytes);
    expect(frame.buffer).not.toBe(poolMemory);
    expect(() => giveFrame(frame)).not.toThrow();
  });
});
