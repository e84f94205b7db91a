import { execFile } from 'node:child_process';
import { appendFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import type { ImageFile } from '../../../coordinator/dataset/image-files.js';
import { openVerificationRecord } from '../../../coordinator/dataset/verification-record.js';
import type { Finding } from '../../../runtime/verification/verify-image.js';
import { makeFolder } from '../../support/images.js';

const file = (name: string, settled = true): ImageFile => ({ path: name, size: 9, stamp: 'stamp', settled });
const found = { usable: true, width: 4, height: 3, digest: '0'.repeat(64) } as const;
const bad = { usable: false, reason: 'is empty' } as const;

it('a record gives back what was found of files that are as they were', async () => {
  const cacheDir = path.join(await makeFolder(), 'cache');
  const [a, b, c, fresh] = [file('a\u2028\n.jpg'), file('b.jpg'), file('c.jpg'), file('d.jpg', false)];
  const record = openVerificationRecord('/images', cacheDir);
  expect(await record.read([a])).toEqual(new Map());
  const findings: [ImageFile, Finding][] = [
    [a, found],
    [b, bad],
    [c, found],
    [fresh, found],
  ];
  await record.save(new Map(findings));
  const changed = { ...c, stamp: 'other' };
  expect(await record.read([a, changed, file('e.jpg'), fresh, b])).toEqual(new Map(findings.slice(0, 2)));
  expect(await openVerificationRecord('/others', cacheDir).read([a])).toEqual(new Map());
  expect(await readdir(cacheDir)).toHaveLength(1);
});

it('a record of many files is read in little memory', async () => {
  const cacheDir = await makeFolder();
  const images = Array.from({ length: 100 }, (_, i) => file(`${i}.jpg`));
  await openVerificationRecord('/images', cacheDir).save(new Map(images.map((image) => [image, found])));
  const [name] = await readdir(cacheDir);
  const others = Array.from(
    { length: 1_000 },
    (_, i) => `${JSON.stringify([`x/${i}.jpg`, 'stamp', found])}\n`,
  ).join('');
  for (let block = 0; block < 200; block += 1) await appendFile(path.join(cacheDir, name!), others);
  const script = `
    const { openVerificationRecord } = await import(process.argv[1]);
    const files = JSON.parse(process.argv[3]);
    console.log((await openVerificationRecord('/images', process.argv[2]).read(files)).size);`;
  const module = path.resolve('dist/coordinator/dataset/verification-record.js');
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--max-old-space-size=48', '--input-type=module', '-e', script, module, cacheDir],
    JSON.stringify(images),
  ]);
  expect(stdout.trim()).toBe('100');
});
