import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import {
  compareImages,
  describeChanges,
  digestsOf,
  readImageRecord,
  writeImageRecord,
} from '../../../coordinator/run-store/image-record.js';
import { makeFolder, sha256, writeFiles } from '../../support/images.js';

const contents = {
  'a/1.jpg': 'one',
  'a/two\n\\2.jpg': 'two',
  'b/ü r.jpg': 'three',
  '\\n.jpg': 'four',
  'c\r.jpg': 'five',
};

async function makeRecord() {
  const root = await makeFolder();
  await writeFiles(root, contents);
  const samples = Object.entries(contents).map(([name, text]) => {
    return { path: name, label: 0, width: 1, height: 1, digest: sha256(Buffer.from(text)) };
  });
  const dataset = { root, classes: ['a'], train: samples.slice(1), valid: samples.slice(0, 1), digest: 'd' };
  const file = path.join(await makeFolder(), 'images.sha256');
  await writeImageRecord(file, dataset);
  return { root, dataset, file };
}

it('a record gives back every path, whatever is in it, and sha256sum can check it', async () => {
  const { root, dataset, file } = await makeRecord();
  expect(await readImageRecord(file)).toEqual(digestsOf(dataset));
  const check = () => execFileSync('sha256sum', ['--check', '--strict', file], { cwd: root, stdio: 'pipe' });
  expect(check().toString().match(/: OK/g)).toHaveLength(5);
  await writeFile(path.join(root, 'a/1.jpg'), 'eno');
  expect(check).toThrow();
});

it('a validation set elsewhere is recorded by the way to it', async () => {
  const { root, dataset } = await makeRecord();
  const validRoot = await makeFolder();
  await writeFiles(validRoot, { 'a/1.jpg': 'six' });
  const valid = [{ ...dataset.valid[0]!, digest: sha256(Buffer.from('six')) }];
  const apart = { ...dataset, train: [...dataset.train, ...dataset.valid], valid, validRoot };
  const file = path.join(await makeFolder(), 'images.sha256');
  await writeImageRecord(file, apart);
  expect(await readImageRecord(file)).toEqual(digestsOf(apart));
  const checked = execFileSync('sha256sum', ['--check', '--strict', file], { cwd: root, stdio: 'pipe' });
  expect(checked.toString().match(/: OK/g)).toHaveLength(6);
});

it('a damaged or missing record is told by its line', async () => {
  const { file } = await makeRecord();
  await writeFile(file, `${'0'.repeat(64)}  a.jpg\nnonsense\n`);
  await expect(readImageRecord(file)).rejects.toMatchObject({
    code: 'data-loss',
    message: expect.stringContaining('line 2'),
  });
  await expect(readImageRecord(`${file}.none`)).rejects.toMatchObject({ code: 'not-found' });
});

it('changes are named, five of each kind', () => {
  const recorded = new Map([...'abcdefgh'].map((name) => [name, '1'] as const));
  const found = new Map(
    [...'abcdefg', 'new\u001b[2J'].map((name) => [name, name === 'a' ? '1' : '2'] as const),
  );
  const changes = compareImages(recorded, found);
  expect(changes).toEqual({ changed: [...'bcdefg'], missing: ['h'], added: ['new\u001b[2J'] });
  expect(describeChanges(changes)).toBe(
    '6 have changed (b, c, d, e, f, and 1 more), 1 is gone (h), 1 is new (new\\u001b[2J)',
  );
  expect(describeChanges(compareImages(recorded, recorded))).toBe('');
});
