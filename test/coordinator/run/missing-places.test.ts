import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import { isLocked } from '../../../coordinator/run-store/run-directory.js';
import { RondoError } from '../../../runtime/errors.js';
import { type Faults, fakeServer } from '../../support/fake-run.js';
import { recipe, runStart } from '../../support/start-run.js';
import { fillDisk, mountTinyDisk, whyWithoutTinyDisk } from '../../support/tiny-disk.js';
import { temporaryFolder } from '../../support/tiny-run.js';

async function run(runs: string, faults: Faults = {}, more: RawStart = { ...recipe, name: 'mine' }) {
  const run = await runStart(runs, more, faults);
  const warnings = run.events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
  return { ...run, warnings };
}

describe('NATS', () => {
  it('that cannot be started costs the metrics alone, and one warning that says why', async () => {
    const missing = new RondoError('failed-precondition', 'there is no nats-server on this machine', {
      remedy: 'Run `npm run setup`.',
    });
    const runs = temporaryFolder();
    const faults = { eager: true, startMetricsServer: () => Promise.reject(missing) };
    const { error, warnings, summary, welcomes } = await run(runs, faults);
    expect(error).toBeNull();
    expect(summary).toMatchObject({ status: 'completed', steps: 9 });
    expect(warnings).toEqual([
      `this run records no metrics, because NATS (its store is to be ${join(runs, 'mine', 'nats')}) cannot be used: ` +
        'there is no nats-server on this machine. Run `npm run setup`.',
    ]);
    expect(welcomes).toMatchObject([{ natsUrl: '', natsToken: '' }]);
  });

  it('without room for its store is closed again, and the run goes on', async () => {
    const full = new RondoError('resource-exhausted', 'there is no room for its store');
    const openCollector = () => {
      throw full;
    };
    const { error, warnings, summary, calls } = await run(temporaryFolder(), { eager: true, openCollector });
    expect([error, summary?.status]).toEqual([null, 'completed']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('there is no room for its store');
    expect(calls[0]).toBe('close server');
    expect(calls.filter((call) => call === 'close server')).toHaveLength(1);
  });

  it('elsewhere that does not answer is named by its address', async () => {
    const openCollector = () => {
      throw new RondoError('unavailable', 'no connection');
    };
    const more = { ...recipe, name: 'mine', nats: 'nats://secret@metrics.example:4222' };
    const { error, warnings } = await run(temporaryFolder(), { eager: true, openCollector }, more);
    expect(error).toBeNull();
    expect(warnings).toEqual([
      'this run records no metrics, because NATS (nats://metrics.example:4222) cannot be used: no connection',
    ]);
  });

  it('that crashes is said once, whatever else fails then', async () => {
    const died = new RondoError('unavailable', 'nats-server has ended by itself');
    let fail: (error: RondoError) => void = () => {};
    const failed = new Promise<RondoError>((resolve) => {
      fail = resolve;
    });
    let onFailure: (error: RondoError) => void = () => {};
    const { error, warnings, summary } = await run(temporaryFolder(), {
      async startMetricsServer() {
        const closing = { outlive() {}, close: async () => {}, destroy() {} };
        return { url: 'nats://127.0.0.1:1', token: 't', failed, server: fakeServer, ...closing };
      },
      openCollector: (o) => {
        onFailure = o.onFailure;
      },
      beforeStep(step) {
        if (step === 2) fail(died);
        if (step === 4) onFailure(died);
      },
    });
    expect([error, summary?.status]).toEqual([null, 'completed']);
    expect(warnings).toEqual(['metrics are no longer recorded: nats-server has ended by itself']);
  });
});

describe.skipIf(whyWithoutTinyDisk !== null)(
  `a disk without room${whyWithoutTinyDisk ? ` (skipped: ${whyWithoutTinyDisk})` : ''}`,
  () => {
    it('ends a run in order: it names the file and the remedy, and goes on when there is room again', async () => {
      const runs = mountTinyDisk(512);
      const full = await run(runs, {
        eager: true,
        beforeStep(step) {
          if (step === 5) fillDisk(runs);
        },
      });
      // The ledger may still have room in its last block; the last checkpoint has none.
      expect(full.error).toMatchObject({ exitCode: 1, code: 'resource-exhausted' });
      expect(full.error?.message).toMatch(/the disk is full|there is no room/);
      expect(full.error?.message).toContain(join(runs, 'mine'));
      expect(full.error?.remedy).toMatch(/free some space .*; go on with: coordinator start --resume /);
      expect(full.calls.filter((call) => call.startsWith('close'))).toHaveLength(4);
      expect(isLocked(join(runs, 'mine'))).toBe(false);

      rmSync(join(runs, 'filler'));
      const resumed = await run(runs, {}, { resume: 'mine' });
      expect(resumed.error).toBeNull();
      expect(resumed.summary).toMatchObject({ status: 'completed', steps: 9 });
    });

    it('refuses a run that cannot begin, and leaves its name free', async () => {
      const runs = mountTinyDisk(64);
      fillDisk(runs);
      const { error } = await run(runs);
      expect(error).toMatchObject({ code: 'resource-exhausted', exitCode: 1 });
      expect(error?.message).toMatch(/^there is no room to write .*mine/);
      expect(error?.remedy).toMatch(/^free some space in /);
      expect(existsSync(join(runs, 'mine'))).toBe(false);
    });
  },
);

it('names a folder of runs that is a file', async () => {
  const file = join(temporaryFolder(), 'runs');
  writeFileSync(file, '');
  const { error } = await run(file);
  expect(error?.message).toContain(`cannot write ${file}`);
  mkdirSync(`${file}-2`);
  expect((await run(`${file}-2`)).error).toBeNull();
});
