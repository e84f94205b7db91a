import { expect, it } from 'vitest';
import { createRunRecorder } from '../../../coordinator/run/run-recorder.js';
import { emptyLedger } from '../../../coordinator/run-store/ledger.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import type { Kernels } from '../../../proto/gen/coordinator.js';
import { fakeKernels } from '../../support/kernels.js';
import { runConfig } from '../../support/run-config.js';

it('says of each worker that is unlike the first that the run is not bit-reproducible', () => {
  const [lines, events]: [object[], RunEvent[]] = [[], []];
  const recorder = createRunRecorder({
    ...{ config: runConfig({ mixed: 'allow' }), labels: [], restored: emptyLedger },
    ledger: { append: (line) => void lines.push(line), sync() {}, close() {} },
    report: (event) => void events.push(event),
    ...{ publish() {}, checkpoint() {}, nowMs: () => 0 },
  });
  const ready = (rank: number, kernels: Kernels) => {
    const place = { rank, workerId: `worker-${rank}`, address: `127.0.0.1:${7_000 + rank}`, pid: rank };
    recorder.ready({ ...place, host: 'here', generation: 1n, kernels });
  };
  ready(0, fakeKernels);
  ready(1, { ...fakeKernels });
  expect(events).toEqual([]);
  ready(2, { ...fakeKernels, instructionSet: 'AVX512_CORE' });
  ready(3, { ...fakeKernels, threads: 2 });
  expect(events).toEqual([
    {
      kind: 'warning',
      text: expect.stringMatching(/^worker-2 computes with .*AVX512_CORE.*AVX2.*not bit-rep/),
    },
    {
      kind: 'warning',
      text: expect.stringMatching(/^worker-3 computes with .*2 threads.*not bit-reproducible$/),
    },
  ]);
  // Each is in the ledger, with what it computes with.
  expect(lines).toMatchObject([0, 1, 2, 3].map((rank) => ({ kind: 'worker', worker: `worker-${rank}` })));
});
