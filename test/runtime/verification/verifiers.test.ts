import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { openVerifiers, type Verifiers, verifyHere } from '../../../runtime/verification/verifiers.js';
import type { Verdict } from '../../../runtime/verification/verify-image.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';

const program = pathToFileURL(path.resolve('dist/runtime/verification/verifier-process.js'));
const preload = new URL('../../support/crash-at-image.mjs', import.meta.url).href;

/** Restored when the test ends. */
function setEnvironment(values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    onTestFinished(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

function crash(signal: string, at: string, once?: string): void {
  setEnvironment({
    NODE_OPTIONS: `--import ${preload}`,
    ...{ RONDO_TEST_CRASH: signal, RONDO_TEST_CRASH_AT: at },
    ...(once === undefined ? {} : { RONDO_TEST_CRASH_ONCE: once }),
  });
}

async function verifyAll(verifiers: Verifiers, root: string, names: readonly string[]) {
  const verdicts = await Promise.all(
    names.map((name) => verifiers.verify({ file: path.join(root, name), size: 1_000 })),
  );
  await verifiers.close();
  return Object.fromEntries(names.map((name, index) => [name, verdicts[index]!]));
}

async function makeFiles(): Promise<{ root: string; names: string[] }> {
  const root = await makeFolder();
  const good = await jpegBytes(1);
  const files: Record<string, Uint8Array | string> = {
    'damaged.jpg': good.subarray(0, good.length / 2),
    'empty.jpg': '',
    'page.jpg': '<!doctype html>',
  };
  for (let index = 0; index < 20; index += 1) files[`${index}.jpg`] = await jpegBytes(index, 40 + index);
  await writeFiles(root, files);
  return { root, names: [...Object.keys(files), 'gone.jpg'] };
}

it('finds in processes what this one finds', async () => {
  const { root, names } = await makeFiles();
  const here = await verifyAll(verifyHere(), root, names);
  // Three processes.
  expect(await verifyAll(openVerifiers({ program, threads: 40 }), root, names)).toEqual(here);
  const told = (name: string) => [here[name]!.finding.usable, here[name]!.lasting];
  expect(['0.jpg', 'damaged.jpg', 'gone.jpg'].map(told)).toEqual([
    [true, true],
    [false, true],
    [false, false],
  ]);
});

it('takes bytes that are in no file', async () => {
  const verifiers = openVerifiers({ program, threads: 4 });
  const bytes = await jpegBytes(3, 50, 40);
  const { finding } = await verifiers.verify({ bytes });
  await verifiers.close();
  expect(finding).toEqual((await verifyHere().verify({ bytes })).finding);
  expect(finding).toMatchObject({ usable: true, width: 50, height: 40 });
});

it.each(['SIGSEGV', 'SIGKILL'])(
  'names a file that ends the process which decodes it by %s, and goes on',
  async (signal) => {
    const { root, names } = await makeFiles();
    const { '7.jpg': _, ...others } = await verifyAll(verifyHere(), root, names);
    crash(signal, '/7.jpg');
    const { '7.jpg': poison, ...rest } = await verifyAll(openVerifiers({ program, threads: 4 }), root, names);
    expect(rest).toEqual(others);
    const reason = `cannot be decoded: the process that decodes it was ended by ${signal}`;
    expect(poison).toEqual({ finding: { usable: false, reason }, lasting: false });
  },
);

it('blames no file for a process that ended once', async () => {
  const { root, names } = await makeFiles();
  const here = await verifyAll(verifyHere(), root, names);
  crash('SIGKILL', '/7.jpg', path.join(root, 'ended'));
  expect(await verifyAll(openVerifiers({ program, threads: 4 }), root, names)).toEqual(here);
});

it('does it here where no process can be started', async () => {
  const { root, names } = await makeFiles();
  const here = await verifyAll(verifyHere(), root, names);
  const broken = path.join(root, 'broken.mjs');
  await writeFile(broken, 'process.exit(3);');
  const found = await verifyAll(openVerifiers({ program: pathToFileURL(broken), threads: 4 }), root, names);
  expect(found).toEqual(here);
});

it('ends at once when it is closed, whatever is in hand', async () => {
  const { root } = await makeFiles();
  crash('SIGSTOP', '/7.jpg');
  const verifiers = openVerifiers({ program, threads: 4 });
  const verdict = verifiers.verify({ file: path.join(root, '7.jpg'), size: 1_000 });
  const failed: Promise<Verdict | string> = verdict.catch(({ code }: { code: string }) => code);
  await verifiers.close();
  expect(await failed).toBe('cancelled');
  await expect(verifiers.verify({ bytes: new Uint8Array() })).rejects.toMatchObject({ code: 'cancelled' });
});
