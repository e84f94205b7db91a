import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { canMakeMachines, type Machines, makeMachines } from '../support/machines.js';
import { readCommittedSteps, readMetrics, readStateDigest, readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const documentation = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
/** Small, and the same for both runs: nothing of it stands in what is typed. */
const recipe = 'arch: resnet18\nsize: 32\nbatch-size: 20\nmicro-batch: 2\nepochs: 1\nthreads: 1\n';
let machines: Machines;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'rondo-home-'));
  renameSync(await drawTinyFolder(20), path.join(home, 'photos'));
  writeFileSync(path.join(home, 'small.yaml'), recipe);
});
afterEach(() => {
  killCoordinators();
  machines?.destroy();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const digest = (run: string) => readStateDigest(path.join(home, 'runs', run, 'checkpoints', 'epoch-0000'));

/** The line of the documentation that begins so, as it is typed where Rondo is installed. */
function documented(beginning: string): string {
  return new RegExp(`^ {4}npx (${beginning}.*)$`, 'm').exec(documentation)![1]!;
}

/** What a documented line stands for, whose secrets are cut short. */
function asPrinted(line: string): RegExp {
  const places = line.replace('3k9x2a.…', 'TOKEN').replace('sha256:…', 'HASH').replaceAll('.', '\\.');
  return new RegExp(
    `^${places.replace('TOKEN', '[a-z0-9]{6}\\.\\S{32}').replace('HASH', 'sha256:[0-9a-f]{64}')}$`,
  );
}

it.skipIf(!canMakeMachines())(
  'the two commands of the documentation train two workers on each of two machines, of which one has no images, to the bits of one',
  async () => {
    // A run of its own on one machine, to compare with.
    const small = ['--config', 'small.yaml'];
    const alone = await runCoordinator(
      ['start', '--data', 'photos', '--workers', '1', '--name', 'alone', ...small],
      {},
      { cwd: home },
    );
    expect(alone.code, alone.stderr).toBe(0);

    machines = makeMachines(2);
    const [first, second] = machines.machines;
    const typed = documented('coordinator start .*--listen');
    expect(typed).toContain(`--listen ${first!.address}:7070 `);
    const inputs = [...typed.split(' ').slice(1), ...small];
    const coordinator = startCoordinator(inputs, {}, { cwd: home, within: first!.inside() });
    const pasted = await coordinator.printed(/^ *worker join .*(?=\n)/m);
    expect(pasted.trim()).toMatch(asPrinted(documented('worker join --coordinator 10\\.')));
    const place = { hidden: [home], environment: { RONDO_LOG: 'info' } };
    const guests = [0, 1].map(() => machines.type(second!, pasted.trim(), place));

    const { code, stderr } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    for (const guest of guests) {
      const left = await guest.exited;
      expect(left).toMatchObject({ code: 0, stderr: expect.stringMatching(/fetched from the coordinator/) });
      // Two machines of two workers each, whose vectors lie together.
      expect(left.stderr).toMatch(/"event":"ring opened".*"ranksByHost":\[2,2\]/);
    }
    for (const { sharedMemory } of [first!, second!]) expect(readdirSync(sharedMemory)).toEqual([]);

    expect(digest('first-try')).toBe(digest('alone'));
    const run = path.join(home, 'runs', 'first-try');
    expect(readSummaryFile(run).status).toBe('completed');
    // The other machine's metrics arrive too.
    const publishers = new Set(readMetrics(run, 'worker-step').map(({ worker }) => worker));
    expect(publishers.size).toBe(4);
    for (const { shares } of readCommittedSteps(run)) {
      expect(shares.map(({ length }) => length > 0)).toEqual([true, true, true, true]);
    }
  },
  600_000,
);
