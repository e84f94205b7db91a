import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority, release } from 'node:os';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { askForSlices } from '../../runtime/time-slices.js';

const file = '/proc/thread-self/sched';
const [major, minor] = release().split('.').map(Number);
/** Where a thread may choose, and tells. */
const canChoose = existsSync(file) && (major! > 6 || (major === 6 && minor! >= 12));

const readSlice = (text: string) => Number(/slice +: +(\d+)/.exec(text)?.[1]);
const ownSlice = () => readSlice(readFileSync(file, 'utf8'));

const before = canChoose ? ownSlice() : 0;

afterEach(() => {
  if (canChoose) askForSlices(before / 1e6);
});

describe.runIf(canChoose)('askForSlices', () => {
  it('gives this thread slices of that length, and leaves its priority alone', () => {
    const priority = getPriority();
    askForSlices(20);
    expect(ownSlice()).toBe(20e6);
    expect(getPriority()).toBe(priority);
  });

  it('gives them to threads that start afterwards', async () => {
    askForSlices(30);
    const program = `require('node:worker_threads').parentPort.postMessage(require('node:fs').readFileSync('${file}', 'utf8'))`;
    const [text] = (await once(new Worker(program, { eval: true }), 'message')) as [string];
    expect(readSlice(text)).toBe(30e6);
  });
});

describe('askForSlices, anywhere', () => {
  it('changes nothing where it cannot: no slice is as long', () => {
    expect(() => askForSlices(1e9)).not.toThrow();
  });
});
