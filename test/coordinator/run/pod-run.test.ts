import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { killCoordinators, startCoordinator } from '../../support/coordinator-process.js';
import { type FakeKubernetes, startKubernetes } from '../../support/kubernetes-api.js';
import { recipe, runStart, Signals } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

let kubernetes: FakeKubernetes;

beforeEach(async () => {
  kubernetes = await startKubernetes();
  for (const [name, value] of Object.entries(kubernetes.environment)) vi.stubEnv(name, value);
});
afterEach(() => {
  killCoordinators();
  vi.unstubAllEnvs();
  kubernetes.close();
});

/** `coordinator start --kubernetes`, which gets SIGTERM when it has nothing left to do. */
function startInPod(runs: string) {
  const signals = new Signals();
  return runStart(runs, { ...recipe, name: 'mine', kubernetes: true }, {}, signals, (event) => {
    if (event.kind === 'note' && event.text.startsWith('nothing is left')) signals.graceful.abort();
  });
}
const notes = (events: Awaited<ReturnType<typeof startInPod>>['events']) =>
  events.flatMap((event) => (event.kind === 'note' ? event.text : []));

describe('a coordinator in a pod', () => {
  it('leaves the Job as it is when the run is over, and does not need it afterwards', async () => {
    const runs = temporaryFolder();
    const { code, summary } = await startInPod(runs);
    expect([code, summary.status]).toEqual([0, 'completed']);
    expect(kubernetes.job).toMatchObject({ parallelism: 2, completions: 2 });
    expect(kubernetes.job.annotations).toMatchObject({ 'rondo/status': 'completed' });

    // As when its ttlSecondsAfterFinished is over.
    vi.stubEnv('RONDO_KUBERNETES_WORKERS', 'Job/gone');
    const again = await startInPod(runs);
    expect([again.code, again.error]).toEqual([0, null]);
    expect(notes(again.events)).toContain('run mine is completed: all of its 9 steps are taken');
  });

  it('has no pods left of a StatefulSet when the run is over, which another coordinator does not wait for', async () => {
    vi.stubEnv('RONDO_KUBERNETES_WORKERS', 'StatefulSet/workers');
    const runs = temporaryFolder();
    const { code, events } = await startInPod(runs);
    expect(code).toBe(0);
    expect(kubernetes.statefulSet.replicas).toBe(0);
    expect(kubernetes.statefulSet.annotations).toMatchObject({ 'rondo/status': 'completed' });
    expect(notes(events).filter((text) => /waits|waiting/.test(text))).toEqual([]);

    // A process of its own: it stays, though nothing is open any more but what serves probes.
    const args = ['--name', 'mine', '--run-dir', runs, '--health', '127.0.0.1:0', '--json'];
    const coordinator = startCoordinator(['start', '--kubernetes', ...args], {
      ...kubernetes.environment,
      RONDO_KUBERNETES_WORKERS: 'StatefulSet/workers',
    });
    await coordinator.event(
      ({ kind, text }) => kind === 'note' && String(text).startsWith('nothing is left'),
    );
    const ended = await Promise.race([coordinator.exited, setTimeout(500, 'it stays')]);
    expect(ended).toBe('it stays');
    coordinator.kill('SIGTERM');
    expect((await coordinator.exited).code).toBe(0);

    // As `helm upgrade` may do.
    kubernetes.scale(2);
    expect((await startInPod(runs)).code).toBe(0);
    expect(kubernetes.statefulSet.replicas).toBe(0);
  });
});
