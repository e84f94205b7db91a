import { expect, it } from 'vitest';
import type { ChaosResult, RunOutcome } from '../../../coordinator/chaos/chaos-events.js';
import { renderChaosResult } from '../../../coordinator/cli/chaos-lines.js';

const undisturbed: RunOutcome = {
  ...{ steps: 78, samples: 4_800, seconds: 234, stateDigest: 'd57d', parameterDigest: '3e1e' },
  ledgerDifference: null,
};
const result: ChaosResult = {
  ...{ ok: true, equal: true, undisturbed, disturbed: { ...undisturbed, seconds: 260 }, goodput: 0.9 },
  faults: { kill: 2 },
  figures: {
    detection: { closed: { count: 2, p50: 0.31, p95: 0.44, largest: 0.44 }, silent: null },
    recovery: { count: 3, p50: 0.96, p95: 1.6, largest: 1.6 },
    stepping: { count: 2, p50: 1.96, p95: 4.01, largest: 4.01 },
    evaluating: { count: 1, p50: 3.5, p95: 3.5, largest: 3.5 },
    ...{ pause: null, coordinatorBack: null, stepsRedone: 1, losses: 2 },
    ...{ stepsRolledBack: 0, needlessRollbacks: 0 },
  },
  ...{ processesLeft: [], sharedFilesLeft: [], folder: null },
};

it('shows what faults cost beside what is aimed at, and leaves out what did not come', () => {
  expect(renderChaosResult(result, 5)).toEqual([
    '',
    '                                        times     p50     p95  aim',
    'killed worker noticed                       2  0.31 s  0.44 s  0.5 s',
    'going on, since noticed                     3  0.96 s  1.60 s  3 s',
    'next step done, since noticed               2  1.96 s  4.01 s  an undisturbed step takes 3.0 s',
    'rest of evaluation done, since noticed      1  3.50 s  3.50 s  –',
    '',
    'steps cut off and taken again: 1, by 2 losses; from checkpoints: 0',
    'goodput: 90 % of the undisturbed run (20.5 → 18.5 images/s)',
    'ledger: each sample used exactly once in every epoch, 78 steps as planned',
    'left behind: no processes; no files in shared memory',
    "sha256 of the state: d57d, equal to the undisturbed run's",
  ]);
});

it('names what must not be', () => {
  const { figures } = result;
  const lines = renderChaosResult(
    {
      ...{ ...result, equal: false, undisturbed: { ...undisturbed, stateDigest: 'eb48' } },
      figures: { ...figures, stepsRolledBack: 4, needlessRollbacks: 1 },
      ...{ processesLeft: [17], sharedFilesLeft: null },
    },
    5,
  );
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringContaining('4, 1 time THOUGH a worker held the state'),
      'left behind: processes 17; files in shared memory cannot be listed here',
      "sha256 of the state: d57d, NOT the undisturbed run's eb48",
    ]),
  );
});
