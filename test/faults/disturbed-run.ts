import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { findLeftovers } from '../../coordinator/chaos/leftovers.js';
import {
  type CoordinatorProcess,
  type Exit,
  type JsonEvent,
  killCoordinators,
  runCoordinator,
  type Place as StartPlace,
  startCoordinator,
} from '../support/coordinator-process.js';
import { openQuickRuns, type QuickRuns } from '../support/quick-run.js';
import { readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { type Fault, noteVerdict, type Phase, type Place, type Write } from './fault-table.js';

const [atPoint, atWrite] = ['fault-at-point.mjs', 'fault-at-write.mjs'].map(
  (name) => new URL(`../support/${name}`, import.meta.url).href,
);
/** Two epochs of six steps. */
export const recipe: readonly string[] = [
  ...['--epochs', '2', '--threads', '1', '--silence-limit', '3', '--workers', '2'],
];
/** A run that takes longer hangs: undisturbed it takes some ten seconds, and the longest wait is 36 s. */
const limitMs = 300_000;
const graceMs = 30_000;

/** How a run ended. */
interface Ending {
  readonly steps: number;
  readonly parameterDigest: string | null;
  readonly stateDigest: string;
}

export interface Disturbed {
  readonly name: string;
  /** The last one that was started. */
  readonly coordinator: CoordinatorProcess;
  /** Starts another coordinator that goes on with the run. */
  resume(environment?: Record<string, string>): CoordinatorProcess;
  /** Ends every process of it at once (SIGKILL). */
  killAll(): Promise<void>;
  /** Resolves when the coordinator ends; rejects, with what it said last, when it does not in time. */
  exited(): Promise<Exit>;
  /** What all its coordinators said; whole once it has ended. */
  readonly events: readonly JsonEvent[];
  /** All that must hold of it at its end, whatever was done to it. */
  expectUnharmed(undisturbed?: Ending): Promise<void>;
}

export interface DisturbedRuns {
  readonly runs: QuickRuns;
  readonly data: string;
  /** For files that tell what happened. */
  readonly marks: string;
  start(environment?: Record<string, string>, more?: readonly string[], place?: StartPlace): Disturbed;
  /** What a run of these further options ends with that nobody disturbs. */
  endOf(...more: string[]): Promise<Ending>;
}

/** Runs that are disturbed, in a folder of their own, beside one that is not; for the whole of a test file. */
export function openDisturbedRuns(): DisturbedRuns {
  const runs = openQuickRuns();
  const marks = mkdtempSync(path.join(tmpdir(), 'rondo-faults-'));
  const endings = new Map<string, Ending>();
  /** Of all processes of the test that is under way. */
  const seen = new Set<number>();
  let [count, data, hasFailed] = [0, '', false];
  /** Whether a process that was seen is still that one. */
  const isOurs = (pid: number) => {
    if (!isAlive(pid)) return false;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command.includes('worker/main.js') || command.includes(runs.root);
  };

  const readEnding = (name: string): Ending => {
    const folder = path.join(runs.run(name), 'checkpoints');
    const newest = readdirSync(folder).filter((each) => /^epoch-\d+$/.test(each));
    const file = path.join(folder, newest.sort().at(-1)!, 'checkpoint.json');
    const { stateDigest } = JSON.parse(readFileSync(file, 'utf8')) as Pick<Ending, 'stateDigest'>;
    const { parameterDigest, steps } = readSummaryFile(runs.run(name));
    return { steps, parameterDigest, stateDigest };
  };
  const endOf = async (...more: string[]) => {
    const key = more.join(' ');
    const known = endings.get(key);
    if (known !== undefined) return known;
    const name = `undisturbed-${endings.size}`;
    const { code, stderr } = await runCoordinator(runs.start(name, data, ...recipe, ...more));
    expect(code, stderr).toBe(0);
    endings.set(key, readEnding(name));
    return endings.get(key)!;
  };

  beforeAll(async () => {
    data = await drawTinyFolder(50); // 120 training images: 6 steps an epoch
  });
  afterEach(({ task }) => {
    hasFailed ||= task.result?.state === 'fail';
    killCoordinators();
    // Those of a coordinator that died are nobody's children.
    for (const pid of seen) if (isOurs(pid)) process.kill(pid, 'SIGKILL');
    seen.clear();
  });
  afterAll(() => {
    if (hasFailed) console.info(`the runs are kept in ${runs.root}`);
    else for (const folder of [runs.root, data, marks]) rmSync(folder, { recursive: true, force: true });
  });

  return {
    ...{ runs, marks, endOf },
    get data() {
      return data;
    },
    start(environment = {}, more = [], place = {}) {
      count += 1;
      const name = `disturbed-${count}`;
      let coordinator = startCoordinator(runs.start(name, data, ...recipe, ...more), environment, place);
      const [pids, addresses, events] = [new Set<number>(), new Set<string>(), [] as JsonEvent[]];
      const look = () => {
        for (const { pid } of descendantsOf(coordinator.pid)) {
          pids.add(pid);
          seen.add(pid);
        }
      };
      const timer = setInterval(look, 200).unref();
      const exited = async () => {
        const { exited: end } = coordinator;
        let limit: NodeJS.Timeout | undefined;
        const hung = new Promise<null>((resolve) => {
          limit = setTimeout(resolve, limitMs, null);
        });
        const exit = await Promise.race([end, hung]);
        clearTimeout(limit);
        if (exit !== null) {
          events.push(...exit.events);
          for (const event of exit.events) if (event.kind === 'waiting') addresses.add(String(event.address));
          return exit;
        }
        killCoordinators();
        const { stdout, stderr } = await end;
        throw new Error(`not over after ${limitMs / 1_000} s; it said\n${stdout.slice(-3_000)}\n${stderr}`);
      };
      return {
        ...{ name, events },
        get coordinator() {
          return coordinator;
        },
        exited,
        async killAll() {
          look();
          coordinator.kill('SIGKILL');
          await coordinator.exited;
          for (const pid of pids) if (isOurs(pid)) process.kill(pid, 'SIGKILL');
        },
        resume(other = {}) {
          // Before it is recorded there is no run yet.
          const isThere = existsSync(path.join(runs.run(name), 'run.json'));
          const inputs = isThere ? runs.resume(name) : runs.start(name, data, ...recipe, ...more);
          coordinator = startCoordinator(inputs, other, place);
          return coordinator;
        },
        async expectUnharmed(undisturbed) {
          const { code, stdout, stderr } = await exited();
          clearInterval(timer);
          expect(code, stderr + stdout.slice(-3_000)).toBe(0);
          expect(readSummaryFile(runs.run(name))).toMatchObject({ status: 'completed' });
          expect(readEnding(name)).toEqual(undisturbed ?? (await endOf()));
          const verified = await runCoordinator(['verify-run', runs.run(name)]);
          expect(verified.code, verified.stdout + verified.stderr).toBe(0);
          const left = await findLeftovers([runs.run(name), ...addresses], pids, graceMs);
          expect(left).toEqual({ processes: [], sharedFiles: [] });
        },
      };
    },
  };
}

/** A test that is a cell of the table, into which its verdict is written. */
export function cell(fault: Fault | Write, column: Phase | Place, test: () => Promise<void>): void {
  it(`${fault}: ${column}`, async () => {
    onTestFailed(() => noteVerdict(fault, column, '**FAILED**'));
    await test();
    noteVerdict(fault, column, 'equal');
  });
}

/** What a worker does itself when it comes to a point of its program for the first time. */
export interface FaultAtPoint {
  readonly fault: string;
  /** A phase; or while it copies the state as one that joins, or has it copied from it. */
  readonly point: Phase | 'copying' | 'copied from';
  /**
   * Unless given worker-0 where an epoch ends, since rank 0 is the first to be asked for a checkpoint; else worker-1.
   */
  readonly worker?: string;
  /** How long it is stopped (SIGSTOP): 5 s unless given. */
  readonly seconds?: number;
  /** Made then. */
  readonly file: string;
}

/** Has workers commit faults, one after the other. */
export function faultsAt(...faults: readonly FaultAtPoint[]): Record<string, string> {
  const placed = faults.map((fault) => {
    const isEpochEnd = fault.point === 'evaluate' || fault.point === 'checkpoint';
    return { worker: isEpochEnd ? 'worker-0' : 'worker-1', ...fault };
  });
  return { NODE_OPTIONS: `--import ${atPoint}`, RONDO_TEST_FAULTS: JSON.stringify(placed) };
}

/**
 * Has the coordinator be killed before or after its write of what a regular expression names, the time `at` (from 0
 * on), or be told that the disk has failed.
 */
export function faultAtWrite(
  fault: Place | 'EIO' | 'ENOSPC',
  { pattern, at = 0, file }: { readonly pattern: string; readonly at?: number; readonly file: string },
): Record<string, string> {
  return {
    NODE_OPTIONS: `--import ${atWrite}`,
    RONDO_TEST_WRITE: pattern,
    RONDO_TEST_WRITE_AT: String(at),
    RONDO_TEST_WRITE_FAULT: fault,
    RONDO_TEST_FAULT_FILE: file,
  };
}

/** Has the coordinator add to `file` what it writes for good, a line each. */
export function recordingWrites(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import ${atWrite}`, RONDO_TEST_FAULT_FILE: file };
}

/** The coordinator took a worker that has a rank for lost. */
export function expectLost({ events }: Disturbed, worker: string): void {
  const losses = events.filter((event) => event.kind === 'worker-lost' && event.worker === worker);
  expect(losses, `losses of ${worker}`).not.toEqual([]);
}

/** A worker that has a rank left; on a machine that is too busy it may have ended before its step did. */
export function expectLeft({ events }: Disturbed, worker: string): void {
  const causes = events.flatMap((event) =>
    event.kind === 'recovered' ? (event.causes as readonly Readonly<Record<string, unknown>>[]) : [],
  );
  const own = causes.filter(({ workerId }) => workerId === worker);
  const leaves = own.filter(({ kind, reason }) => kind === 'leave' || /asked to leave/.test(String(reason)));
  expect(leaves, `leaves of ${worker}`).toHaveLength(1);
}

/** A worker that was not ready yet heard that it was taken for lost, or hears no more, by what it `said`, and came again. */
export function expectSentAway({ events }: Disturbed, said: string): void {
  expect(said).toMatch(/looking for it again/);
  expect(events.filter(({ text }) => String(text).includes('started again'))).toEqual([]);
}

/** The process came to the point where the fault is. */
export function expectCommitted(file: string): void {
  expect(existsSync(file), `${file} is there`).toBe(true);
}
