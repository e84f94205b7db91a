import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest';
import { findLeftovers } from '../../coordinator/chaos/leftovers.js';
import { parseHostPort } from '../../runtime/host-port.js';
import {
  type CoordinatorProcess,
  type Exit,
  killCoordinators,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { descendantsOf } from '../support/processes.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { openFaultTable } from './fault-table.js';

const phases = [
  ...['joining', 'compute', 'reduce-scatter', 'all-gather', 'apply', 'evaluate', 'checkpoint'],
] as const;
type Phase = (typeof phases)[number];
/** It has the only batch of an evaluation, and is the first to be asked for a checkpoint. */
const ofRank0: readonly Phase[] = ['evaluate', 'checkpoint'];

const preload = new URL('../support/fault-at-point.mjs', import.meta.url).href;
const worker = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));
const recipe = ['--workers', '2', '--epochs', '2', '--threads', '1', '--silence-limit', '3'];
const steps = 12;
const runs = openQuickRuns();
const marks = mkdtempSync(path.join(tmpdir(), 'rondo-faults-'));
const table = openFaultTable(phases);
const guests: ChildProcess[] = [];
let count = 0;
let data: string;
let undisturbed: Ending;

interface Ending {
  readonly parameterDigest: string | null;
  readonly stateDigest: string;
}

beforeAll(async () => {
  data = await drawTinyFolder(50); // 120 training images: 6 steps an epoch
  const { code, stderr } = await runCoordinator(runs.start('undisturbed', data, ...recipe));
  expect(code, stderr).toBe(0);
  undisturbed = endingOf('undisturbed');
});
afterEach(() => {
  killCoordinators();
  for (const guest of guests.splice(0)) guest.kill('SIGKILL');
});
afterAll(() => {
  table.write();
  runs.remove();
  for (const folder of [data, marks]) rmSync(folder, { recursive: true, force: true });
});

/** The state that a run ended with. */
function endingOf(name: string): Ending {
  const folder = path.join(runs.run(name), 'checkpoints');
  const newest = readdirSync(folder)
    .filter((each) => /^epoch-\d+$/.test(each))
    .sort()
    .at(-1)!;
  const { stateDigest } = JSON.parse(readFileSync(path.join(folder, newest, 'checkpoint.json'), 'utf8')) as {
    stateDigest: string;
  };
  return { parameterDigest: readSummaryFile(runs.run(name)).parameterDigest, stateDigest };
}

interface Disturbed {
  readonly name: string;
  readonly coordinator: CoordinatorProcess;
  /** Of all processes that were seen. */
  readonly pids: Set<number>;
}

/** Starts a run whose worker comes to a fault by itself, where `environment` says so. */
function startRun(environment: Record<string, string> = {}): Disturbed {
  count += 1;
  const name = `disturbed-${count}`;
  const coordinator = startCoordinator(runs.start(name, data, ...recipe), environment);
  return { name, coordinator, pids: new Set() };
}

/** Remembers the processes of a run as long as it goes on. */
function watch({ coordinator, pids }: Disturbed): () => void {
  const look = () => {
    for (const { pid } of descendantsOf(coordinator.pid)) pids.add(pid);
  };
  const timer = setInterval(look, 500);
  return () => clearInterval(timer);
}

/** All that must hold of a run, whatever was done to it. */
async function expectUnharmed(
  { name, pids }: Disturbed,
  { code, events, stdout, stderr }: Exit,
): Promise<void> {
  expect(code, stderr + stdout.slice(-2_000)).toBe(0);
  expect(readSummaryFile(runs.run(name))).toMatchObject({ status: 'completed', steps });
  expect(endingOf(name)).toEqual(undisturbed);
  const verified = await runCoordinator(['verify-run', runs.run(name)]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const addresses = events.flatMap(({ kind, address }) => (kind === 'waiting' ? [String(address)] : []));
  expect(await findLeftovers([runs.run(name), ...addresses], pids, 20_000)).toEqual({
    processes: [],
    sharedFiles: [],
  });
}

function cell(fault: string, phase: Phase, test: () => Promise<void>): void {
  table.declare(fault, phase);
  it(`${fault}: ${phase}`, async () => {
    onTestFailed(() => table.note(fault, phase, '**FAILED**'));
    await test();
    table.note(fault, phase, 'equal');
  });
}

/** A cell whose fault the worker commits itself, at a point of its program. */
function cellAt(fault: string, label: string, phase: Phase): void {
  cell(label, phase, async () => {
    const file = path.join(marks, `${count + 1}`);
    const run = startRun({
      NODE_OPTIONS: `--import ${preload}`,
      RONDO_TEST_FAULT: fault,
      RONDO_TEST_FAULT_POINT: phase,
      RONDO_TEST_FAULT_WORKER: ofRank0.includes(phase) ? 'worker-0' : 'worker-1',
      RONDO_TEST_FAULT_FILE: file,
    });
    const unwatch = watch(run);
    const exit = await run.coordinator.exited.finally(unwatch);
    expect(existsSync(file), 'the worker came to that point').toBe(true);
    await expectUnharmed(run, exit);
  });
}

for (const [fault, label] of [
  ['SIGKILL', 'a worker is killed (SIGKILL)'],
  ['SIGSTOP', 'a worker is stopped, and goes on 5 s later (SIGSTOP, SIGCONT; silence limit 3 s)'],
  ['SIGTERM', 'a worker is told to leave (SIGTERM)'],
] as const) {
  for (const phase of phases) cellAt(fault, label, phase);
}
cellAt('slow link', 'every message of a ring is 40 ms late', 'all-gather');
cellAt('CPU share', 'a worker has a fifth of a core', 'compute');

/** A cell whose fault comes from outside, after a step. */
function cellFrom(fault: string, phase: Phase, act: (run: Disturbed) => Promise<void>): void {
  cell(fault, phase, async () => {
    const run = startRun();
    const unwatch = watch(run);
    await run.coordinator.event(({ kind, step }) => kind === 'step' && Number(step) === 3);
    await act(run);
    await expectUnharmed(run, await run.coordinator.exited.finally(unwatch));
  });
}

cellFrom('nats-server is killed', 'compute', async ({ coordinator }) => {
  const server = descendantsOf(coordinator.pid).find(({ command }) => command.includes('nats-server'))!;
  process.kill(server.pid, 'SIGKILL');
});

cellFrom("nats-server's store is wiped", 'compute', async ({ name }) => {
  rmSync(path.join(runs.run(name), 'nats'), { recursive: true, force: true });
});

cellFrom('a stranger sends garbage, and more than a message may hold', 'compute', async ({ coordinator }) => {
  const { address } = await coordinator.event(({ kind }) => kind === 'waiting');
  for (const bytes of [Buffer.alloc(1 << 16, 0x5a), Buffer.alloc(64 << 20, 0xff)]) {
    await new Promise<void>((resolve) => {
      const socket = connect(parseHostPort(String(address)), () => socket.end(bytes));
      socket.on('error', () => resolve()).on('close', () => resolve());
    });
  }
});

cellFrom('another worker comes with the id of one that is there', 'joining', async ({ coordinator }) => {
  const { address, tokenFile } = await coordinator.event(({ kind }) => kind === 'waiting');
  const inputs = [
    'join',
    '--coordinator',
    String(address),
    '--token-file',
    String(tokenFile),
    '--id',
    'worker-0',
  ];
  const guest = spawn(process.execPath, [worker, ...inputs], { stdio: 'ignore' });
  guests.push(guest);
  const code = await new Promise((resolve) => guest.once('exit', resolve));
  expect(code).toBe(3);
});
