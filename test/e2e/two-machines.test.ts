import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { canMakeMachines, type Machines, makeMachines } from '../support/machines.js';
import { readCommittedSteps, readMetrics, readStateDigest } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const documentation = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
/** Small, and the same for both runs. */
const recipe = [
  '--arch',
  'resnet18',
  '--size',
  '32',
  '--batch-size',
  '20',
  '--micro-batch',
  '2',
  '--epochs',
  '1',
];
let machines: Machines;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'rondo-home-'));
  mkdirSync(path.join(home, 'images'));
  renameSync(await drawTinyFolder(20), path.join(home, 'images', 'photos'));
});
afterEach(() => {
  killCoordinators();
  machines?.destroy();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const digest = (run: string) => readStateDigest(path.join(home, 'runs', run, 'checkpoints', 'epoch-0000'));

it.skipIf(!canMakeMachines())(
  'the two commands of the documentation train two workers on each of two machines, of which one has no images, to the bits of one',
  async () => {
    // A run of its own on one machine, to compare with.
    const common = ['--run-dir', path.join(home, 'runs'), '--json', '--threads', '1', ...recipe];
    const alone = await runCoordinator(
      ['start', '--data', 'photos', '--workers', '1', '--name', 'alone', ...common],
      {},
      { cwd: path.join(home, 'images') },
    );
    expect(alone.code, alone.stderr).toBe(0);

    machines = makeMachines(2);
    const [first, second] = machines.machines;
    const [, line] = /^ {4}npx (coordinator start .*--listen .*)$/m.exec(documentation)!;
    const inputs = line!.split(' ').slice(1);
    expect(inputs).toContain(`${first!.address}:7070`);
    const coordinator = startCoordinator(
      [...inputs, ...common],
      {},
      {
        cwd: path.join(home, 'images'),
        within: first!.inside(),
      },
    );
    const { address, joining } = await coordinator.event(({ kind }) => kind === 'waiting');
    const { token, hash } = joining as { token: string; hash: string };
    const pasted = `worker join --coordinator ${address} --token ${token} --ca-hash ${hash}`;
    const place = { hidden: [path.join(home, 'images')], environment: { RONDO_LOG: 'info' } };
    const guests = [0, 1].map(() => machines.type(second!, pasted, place));

    const { code, stderr, events } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    for (const guest of guests) {
      const left = await guest.exited;
      expect(left).toMatchObject({ code: 0, stderr: expect.stringMatching(/fetched from the coordinator/) });
      // Two machines of two workers each, whose vectors lie together.
      expect(left.stderr).toMatch(/"event":"ring opened".*"ranksByHost":\[2,2\]/);
    }
    expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed' });
    const [assigned] = events.filter(({ kind }) => kind === 'assigned');
    expect(assigned?.workers).toHaveLength(4);
    for (const { sharedMemory } of [first!, second!]) expect(readdirSync(sharedMemory)).toEqual([]);

    expect(digest('first-try')).toBe(digest('alone'));
    const run = path.join(home, 'runs', 'first-try');
    // The other machine's metrics arrive too.
    const publishers = new Set(readMetrics(run, 'worker-step').map(({ worker }) => worker));
    expect(publishers.size).toBe(4);
    expect(readCommittedSteps(run).every(({ shares }) => shares.every((share) => share.length > 0))).toBe(
      true,
    );
  },
  600_000,
);
