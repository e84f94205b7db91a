import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFileQueue } from '../../../coordinator/dataset/file-queue.js';
import { openVerificationRecord } from '../../../coordinator/dataset/verification-record.js';
import { type FolderVerifier, verifyImages } from '../../../coordinator/dataset/verify.js';
import type { Verifiers } from '../../../runtime/verification/verifiers.js';
import type { Verdict } from '../../../runtime/verification/verify-image.js';
import { makeFolder } from '../../support/images.js';

const files = Array.from({ length: 5_000 }, (_, index) => ({
  ...{ path: `a/${index}.jpg`, size: 100 + index, stamp: `${index}`, settled: true },
}));

/** Told by a file's name, as decoding would tell it. */
function verdictOf(name: string): Verdict {
  const index = Number(/(\d+)\.jpg$/.exec(name)![1]);
  if (index % 100 === 3)
    return { finding: { usable: false, reason: `is ${index}` }, lasting: index % 200 === 3 };
  const digest = index.toString(16).padStart(64, '0');
  return { finding: { usable: true, width: index + 1, height: 1, digest }, lasting: true };
}

const expected = files.map((file) => verdictOf(file.path).finding);
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Those of this machine, who take a turn of the event loop for each image. */
function fakeVerifiers() {
  let [count, closed] = [0, 0];
  const verifiers: Verifiers = {
    width: 4,
    async verify(image) {
      await tick();
      count += 1;
      return verdictOf('file' in image ? image.file : '');
    },
    begin() {},
    async close() {
      closed += 1;
    },
  };
  return { verifiers, count: () => count, closed: () => closed };
}

async function verify(
  helpers: readonly FolderVerifier[],
  o: { signal?: AbortSignal; onProgress?(done: number): void; cacheDir?: string } = {},
) {
  const own = fakeVerifiers();
  let dismissed = 0;
  const progress: number[] = [];
  const found = await verifyImages('/data', files, {
    cacheDir: o.cacheDir ?? (await makeFolder()),
    signal: o.signal ?? new AbortController().signal,
    onProgress(done) {
      progress.push(done);
      o.onProgress?.(done);
    },
    verifiers: own.verifiers,
    helpers: {
      async attend(onHelper) {
        for (const helper of helpers) onHelper(helper);
        return () => {
          dismissed += 1;
        };
      },
    },
  });
  expect(dismissed).toBe(1);
  return { found: files.map((file) => found.get(file)), own: own.count(), progress };
}

describe('a pass over many files', () => {
  it('is divided among all who help, and tells what one alone would', async () => {
    let helped = 0;
    const helper: FolderVerifier = {
      width: 16,
      async verify(root, file) {
        await tick();
        helped += 1;
        return verdictOf(path.posix.join(root, file.path));
      },
    };
    const { found, own, progress } = await verify([helper, helper]);
    expect(found).toEqual(expected);
    expect(helped).toBeGreaterThan(own);
    expect(progress).toEqual(Array.from({ length: files.length + 1 }, (_, done) => done));
    // What one had in hand at the end, another may have looked at too.
    expect(helped + own).toBeLessThan(files.length + 100);
  });

  it('does not wait for one who says nothing any more', async () => {
    const wedged: FolderVerifier = { width: 64, verify: () => new Promise(() => {}) };
    const { found, own } = await verify([wedged]);
    expect(found).toEqual(expected);
    expect(own).toBe(files.length);
  });

  it('gives to others what one had in hand who is lost', async () => {
    let left = 500;
    const lost: FolderVerifier = {
      width: 32,
      async verify(_, file) {
        await tick();
        left -= 1;
        if (left < 0) throw new Error('its connection broke');
        return verdictOf(file.path);
      },
    };
    const { found, own } = await verify([lost]);
    expect(found).toEqual(expected);
    expect(own).toBeGreaterThanOrEqual(files.length - 500);
  });

  it('keeps what all have found when it is told to end', async () => {
    const cacheDir = await makeFolder();
    const controller = new AbortController();
    const helper: FolderVerifier = {
      width: 8,
      async verify(_, file) {
        await tick();
        return verdictOf(file.path);
      },
    };
    const stopping = verify([helper], {
      cacheDir,
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 2_000) controller.abort(new Error('told to end'));
      },
    });
    await expect(stopping).rejects.toThrow('told to end');
    const kept = await openVerificationRecord('/data', cacheDir).read(files);
    // All but the few that would be read again next time too.
    expect(kept.size).toBeGreaterThan(1_950);
    expect(kept.size).toBeLessThan(2_050);
    for (const [file, finding] of kept) expect(finding).toEqual(verdictOf(file.path).finding);
  });
});

describe('a queue of files', () => {
  it('gives each once, then what others have in hand', () => {
    const queue = createFileQueue<string, string>(['a', 'b']);
    expect([queue.take('x', false), queue.take('y', false)]).toEqual(['a', 'b']);
    expect([queue.take('y', false), queue.take('y', false)]).toEqual(['a', undefined]);
    // Two have it, which is enough, unless nobody else can be relied on.
    expect([queue.take('z', false), queue.take('z', false)]).toEqual(['b', undefined]);
    expect([queue.take('own', true), queue.take('own', true)]).toEqual(['a', 'b']);
    expect(queue.take('own', true)).toBe(undefined);
    expect([queue.finish('a'), queue.finish('a')]).toEqual([true, false]);
  });

  it('gives again what is given back, when nobody else has it', () => {
    const queue = createFileQueue<string, string>(['a']);
    queue.take('x', false);
    queue.take('y', false);
    queue.giveBack('a', 'x');
    expect(queue.take('y', false)).toBe(undefined);
    queue.giveBack('a', 'y');
    expect(queue.take('y', false)).toBe('a');
    expect(queue.finish('a')).toBe(true);
    queue.giveBack('a', 'y');
    expect(queue.take('x', true)).toBe(undefined);
  });
});
