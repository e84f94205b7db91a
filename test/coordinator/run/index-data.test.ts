import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { start } from '../../../coordinator/cli/start.js';
import { RondoError } from '../../../runtime/errors.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

const bad = { path: 'a/\u001b[2Jbad.jpg', reason: 'is truncated' };
const remark = {
  level: 'warning',
  about: 'unread-images',
  text: '2 files of kinds that are not read left out: 2 .bmp',
  count: 2,
  names: ['a/1.bmp', 'a/2.bmp'],
} as const;

async function run(json: boolean, refused = false) {
  const runs = temporaryFolder();
  const output = memoryOutput();
  const never = new AbortController().signal;
  const { services } = fakeRun({
    async openDataset({ onQuarantined, split, skipBroken, validDir }) {
      expect({ split, skipBroken, validDir }).toEqual({
        split: 'auto',
        skipBroken: true,
        validDir: '/held-out',
      });
      onQuarantined([bad]);
      if (refused) throw new RondoError('invalid-argument', 'too many');
      return {
        dataset: tinyDataset(),
        quarantined: [bad],
        validation: 'the folder valid',
        remarks: [remark],
      };
    },
  });
  const options = { data: 'photos', valid: '/held-out', 'skip-broken': true, name: 'mine', epochs: 1, json };
  const ended = start(
    { ...options, 'run-dir': runs, arch: 'resnet18', size: 64, 'batch-size': 8, 'micro-batch': 4 },
    {
      ...{ services, output, argv: ['node', '/bin/coordinator', 'start'], exit: () => {} },
      openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    },
  );
  const error = await ended.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { error, lines: output.lines(), path: join(runs, 'mine') };
}

it('tells programs of every file that is left out, and of what was noticed, with what it is about', async () => {
  const { lines } = await run(true);
  const events = lines.map((line) => JSON.parse(line) as { kind: string });
  expect(events.filter(({ kind }) => kind === 'quarantined')).toEqual([{ kind: 'quarantined', ...bad }]);
  const { level, ...rest } = remark;
  expect(events.filter(({ kind }) => kind === 'warning')).toContainEqual({ kind: level, ...rest });
});

it('tells programs of them also where they are too many to go on', async () => {
  const { error, lines } = await run(true, true);
  expect(error).toMatchObject({ message: 'too many' });
  expect(lines.map((line) => JSON.parse(line))).toContainEqual({ kind: 'quarantined', ...bad });
});

it('warns people, and keeps all of it with the run', async () => {
  const { lines, path } = await run(false);
  expect(lines).toContain(`warning: ${remark.text}`);
  expect(lines).toContain(`1 file left out as unusable: ${join(path, 'quarantined.jsonl')}`);
  for (const line of lines) expect(line).toMatch(/^\P{Cc}*$/u);
  const { data, training } = JSON.parse(readFileSync(join(path, 'run.json'), 'utf8'));
  expect(data).toEqual({ validation: 'the folder valid', remarks: [remark] });
  expect(training).toMatchObject({ valid: '/held-out', split: 'auto', skipBroken: true });
  const listed = readFileSync(join(path, 'quarantined.jsonl'), 'utf8').split('\n').slice(0, -1);
  expect(listed.map((line) => JSON.parse(line))).toEqual([bad]);
});
