import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const rooms = [
  ...['worker/session', 'worker/collective', 'worker/data', 'coordinator/cluster', 'coordinator/membership'],
  ...['coordinator/run', 'coordinator/launch', 'coordinator/telemetry'],
];

/** A name in milliseconds, or a call that waits, with a number: `waitMs = 500`, `setTimeout(f, 500)`. */
const waits = /\w*Ms\??\s*(?::[^=,;]*)?[:=]\s*[\d_]{2,}|\bset(?:Timeout|Interval)\([^;]*,\s*[\d_]+\)/;

const allowed = [
  // An age, not a wait: what is left behind for so long belongs to nobody.
  'worker/collective/transport/shared-memory/slot-file.ts: leftoverMs = 600_000',
  // A lifetime, and how often another process's changes are looked for.
  'coordinator/cluster/authority.ts: defaultCertificateMs = 24',
  'coordinator/cluster/authority.ts: watchMs = 1_000',
  'coordinator/cluster/operators.ts: watchMs = 1_000',
  // Before a worker is known to the run, whose silence limit it is told later.
  'worker/session/enrol.ts: retryMs = 500',
  'worker/session/enrol.ts: enrolMs = 10_000',
  // How often it asks again, within what follows from the silence limit.
  'worker/data/fetched-source.ts: retryMs = 1_000',
  // How long somebody who ended the run, or whom it failed, waits for what closes then.
  'coordinator/run/open-resources.ts: goodbyeMs: 10_000',
  'coordinator/run/open-resources.ts: goodbyeMs: 800',
  'coordinator/run/train-run.ts: lastCheckpointMs = 1_500',
  'coordinator/run/control-run.ts: lastLinesMs = 500',
  'coordinator/launch/nats-server.ts: closeTimeoutMs = 5000',
  'coordinator/launch/run-job.ts: graceMs = 5_000',
  // The default silence limit itself.
  'coordinator/run/run-task.ts: silenceMs: 1_000',
  // Of programs of this machine, before there is a cluster or beside it.
  'coordinator/launch/gpus.ts: listingMs = 10_000',
  'coordinator/launch/nats-server.ts: readyTimeoutMs = 20_000',
  'coordinator/launch/nats-server.ts: lookMs = 50',
  'coordinator/launch/left-behind.ts: lookMs = 200',
  // What counts as ending at once, and how soon another worker is started then.
  'coordinator/launch/launcher.ts: atOnceMs = 10_000',
  'coordinator/launch/launcher.ts: firstDelayMs = 2_000',
  'coordinator/launch/launcher.ts: longestDelayMs = 8_000',
  // Training waits for no metrics: of NATS, when the run begins, and of its stream.
  'coordinator/telemetry/collector.ts: openTimeoutMs = 5000',
  'coordinator/telemetry/stream.ts: duplicateWindowMs = 10',
  'coordinator/telemetry/stream.ts: heartbeatMs = 5000',
];

it('no wait of a cluster stands beside those that follow from the silence limit (plan/deadlines.ts)', () => {
  const found = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) =>
        readFileSync(join(root, room, name), 'utf8')
          .split('\n')
          .flatMap((line) => waits.exec(line)?.[0] ?? [])
          .map((wait) => `${room}/${name}: ${wait}`),
      ),
  );
  expect(found.filter((wait) => !allowed.includes(wait))).toEqual([]);
  expect(found).toEqual(expect.arrayContaining(allowed));
});

it.each([
  ['const abortTimeoutMs = 60_000;', true],
  ['  waitMs: 120000,', true],
  ['const { waitMs = 120_000, sharedMemory } = options;', true],
  ['readonly waitMs: number;', false],
  ['timer = setTimeout(() => end(), 500);', true],
  ['setTimeout(resolve, deadlines.hangUpMs)', false],
  ['const ms = performance.now() / 1_000;', false],
])('%s: %s', (text, found) => {
  expect(waits.test(text)).toBe(found);
});
