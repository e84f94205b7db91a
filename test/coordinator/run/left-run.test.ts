import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { findAdoptable, findLeft } from '../../../coordinator/run/left-run.js';
import {
  type CoordinatorRecord,
  openCoordinatorRecord,
  readCoordinatorRecord,
} from '../../../coordinator/run-store/coordinator-record.js';
import { emptyLedger, type LedgerState } from '../../../coordinator/run-store/ledger.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import { temporaryFolder, tinyConfig } from '../../support/tiny-run.js';

const address = '127.0.0.1:4711';
const begun: NonNullable<CoordinatorRecord['begun']> = {
  ...{ number: 2, startStep: 3, epochEndDue: false, startDivision: null, partitions: null, startDigest: 'd' },
  places: [{ workerId: 'worker-0', rank: 0, address: '127.0.0.1:7000', pid: 1, host: hostname() }],
};
const record: CoordinatorRecord = {
  ...{ address, token: 'a-token-of-the-run', nats: null, localWorkers: 1, workers: [], newest: 2, begun },
};

/** A process with the command line of a local worker. */
async function startWorker(): Promise<{ pid: number; end(): Promise<void> }> {
  const words = ['join', '--coordinator', address, '--id', 'worker-0'];
  const child = spawn('/bin/sh', ['-c', 'echo; read line', ...words], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return {
    pid: child.pid!,
    async end() {
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

function writeRecord(changes: Partial<CoordinatorRecord>) {
  const directory = runDirectoryAt(temporaryFolder());
  const file = openCoordinatorRecord(directory.coordinator, record);
  file.change(changes);
  return { directory, file };
}

describe('the record of a coordinator', () => {
  it('is what the next one reads, for this user alone, and is gone after an end in order', () => {
    const { directory, file } = writeRecord({ newest: 7 });
    expect(readCoordinatorRecord(directory.coordinator)).toEqual({ ...record, newest: 7 });
    expect(statSync(directory.coordinator).mode & 0o077).toBe(0);
    file.remove();
    file.change({ newest: 8 });
    expect(existsSync(directory.coordinator)).toBe(false);
    expect(findLeft(directory, '127.0.0.1:0')).toBeNull();
  });

  it('is read as an earlier version wrote it, without divisions', () => {
    const { directory } = writeRecord({});
    const text = readFileSync(directory.coordinator, 'utf8');
    const earlier = text.replace('"startDivision":null,"partitions":null,', '');
    expect(earlier.length).toBeLessThan(text.length);
    writeFileSync(directory.coordinator, earlier);
    expect(readCoordinatorRecord(directory.coordinator)).toEqual(record);
  });
});

describe('what a coordinator left', () => {
  it('lives while one of its workers runs, or may run elsewhere', async () => {
    const worker = await startWorker();
    const { directory } = writeRecord({ workers: [{ workerId: 'worker-0', pid: worker.pid }] });
    expect(findLeft(directory, '127.0.0.1:0')?.lives).toBe(true);
    expect(findLeft(directory, address)?.lives).toBe(true);
    await worker.end();
    expect(findLeft(directory, '127.0.0.1:0')?.lives).toBe(false);
    // What was not launched here may run, on this machine too.
    const places = begun.places.map((place) => ({ ...place, workerId: 'guest' }));
    const guests = writeRecord({ begun: { ...begun, places } });
    expect(findLeft(guests.directory, '127.0.0.1:0')?.lives).toBe(true);
  });

  it('is found where the last one listened, and where any port is asked for on the same host', () => {
    const places = begun.places.map((place) => ({ ...place, workerId: 'guest' }));
    const { directory } = writeRecord({ address: '0.0.0.0:7070', begun: { ...begun, places } });
    const lives = ['0.0.0.0:7070', '0.0.0.0:0', '127.0.0.1:0', '0.0.0.0:7071', '10.0.0.1:0'].map(
      (listen) => findLeft(directory, listen)?.lives,
    );
    expect(lives).toEqual([true, true, true, false, false]);
  });

  it('is no process that has only the same number', () => {
    const { directory } = writeRecord({ workers: [{ workerId: 'worker-0', pid: process.pid }] });
    expect(findLeft(directory, '127.0.0.1:0')?.lives).toBe(false);
  });

  it('is ended when the new coordinator is to listen elsewhere', async () => {
    const worker = await startWorker();
    const { directory } = writeRecord({ workers: [{ workerId: 'worker-0', pid: worker.pid }] });
    expect(findLeft(directory, '127.0.0.1:4712')?.lives).toBe(false);
    await worker.end();
    expect(findLeft(directory, address)?.lives).toBe(false);
  });
});

describe('what its workers go on with', () => {
  const training = { earlyStopping: null } as Parameters<typeof findAdoptable>[2]['training'];
  const run = { config: tinyConfig(), training };
  const ledgerOf = (steps: number, changes: Partial<LedgerState> = {}): LedgerState => ({
    ...emptyLedger,
    steps: Array.from({ length: steps }, (_, step) => ({
      step,
      loss: 1,
      samples: 8,
      skipped: false,
      seconds: 1,
    })),
    ...changes,
  });

  it('is the last generation that began, from the steps in the ledger on', () => {
    expect(findAdoptable(record, ledgerOf(5), run)).toEqual({
      ...{ newest: 2n, committed: 5, closedEpoch: -1 },
      begun: { ...begun, number: 2n },
    });
  });

  it.each<[string, CoordinatorRecord, LedgerState]>([
    ['before any has begun', { ...record, begun: null }, ledgerOf(0)],
    ['where the ledger has lost steps', record, ledgerOf(2)],
    [
      'where a phase ended early and the workers are to go on elsewhere',
      record,
      ledgerOf(5, { earlyStops: [9] }),
    ],
  ])('is nothing %s', (_, left, ledger) => {
    expect(findAdoptable(left, ledger, run)).toBeNull();
  });
});
