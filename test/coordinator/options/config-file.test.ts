import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildProgram } from '../../../coordinator/cli/program.js';
import { start } from '../../../coordinator/cli/start.js';
import { readConfigFile } from '../../../coordinator/options/config-file.js';
import { readRunRecord, runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';
import { temporaryFolder } from '../../support/tiny-run.js';

function write(text: string): string {
  const path = join(temporaryFolder(), 'run.yaml');
  writeFileSync(path, text);
  return path;
}

it('reads the names of the command line', () => {
  expect(readConfigFile(write('workers: 4\nlr: [1e-6, 1e-4]\ndata: photos\n'))).toEqual({
    workers: 4,
    lr: [1e-6, 1e-4],
    data: 'photos',
  });
  expect(readConfigFile(write('unfreeze-lr: ",3e-3"\nlr: [~, 1e-2]\n'))).toEqual({
    'unfreeze-lr': ',3e-3',
    lr: [null, 1e-2],
  });
  expect(readConfigFile(write(''))).toEqual({});
});

it.each([
  ['batchsize: 3', 'there is no option "batchsize"', 'did you mean "batch-size"?'],
  ['config: x', 'there is no option "config"', ''],
  ['something-else: 1', 'there is no option "something-else"', '--help'],
  ['- a', 'does not hold options', 'workers: 4'],
  ['just text', 'does not hold options', 'workers: 4'],
  ['a: [', 'is not YAML', 'name: value'],
  ['lr: ,3e-3', 'is not YAML', 'lr: ",3e-3"'],
])('refuses %j', (text, message, remedy) => {
  expect(() => readConfigFile(write(text))).toThrow(
    expect.objectContaining({
      exitCode: 2,
      message: expect.stringContaining(message),
      remedy: expect.stringContaining(remedy),
    }),
  );
});

it('says that there is no such file', () => {
  expect(() => readConfigFile('/nowhere.yaml')).toThrow(
    expect.objectContaining({ exitCode: 2, message: '--config: there is no file /nowhere.yaml' }),
  );
});

it('is overruled by the command line', async () => {
  const runs = temporaryFolder();
  const path = write(
    `run-dir: ${runs}\nname: mine\ndata: photos\nsize: 96\nepochs: 5\nbatch-size: 8\njson: true\n`,
  );
  const codes: number[] = [];
  const never = new AbortController().signal;
  const program = buildProgram({
    services: fakeRun({ eager: true }).services,
    output: memoryOutput(),
    argv: ['node', 'coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: (code) => codes.push(code),
  });
  await program.parseAsync([
    'node',
    'coordinator',
    'start',
    '--config',
    path,
    '--epochs',
    '1',
    '--seed',
    '9',
  ]);
  expect(codes).toEqual([0]);
  const { training } = readRunRecord(runDirectoryAt(join(runs, 'mine')));
  expect(training).toMatchObject({ size: 96, epochs: 1, seed: 9, batchSize: 8 });
});

it('is checked like the command line', async () => {
  const environment = {
    services: fakeRun().services,
    output: memoryOutput(),
    argv: [],
    openLifecycle: () => expect.fail('nothing may start'),
    exit() {},
  };
  await expect(start(readConfigFile(write('workers: none\n')), environment)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('--workers is "none"'),
  });
});
