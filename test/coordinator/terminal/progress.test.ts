import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import {
  advance,
  estimateLeft,
  initialProgress,
  renderLive,
} from '../../../coordinator/terminal/progress.js';
import { assigned, epoch, prepared, step, summary, waiting } from '../../support/run-events.js';

function stateAfter(events: readonly RunEvent[]) {
  return events.reduce((state, event, index) => advance(state, event, index * 1000), initialProgress);
}

describe('what is left', () => {
  it('is unknown before the first step', () => {
    expect(estimateLeft(stateAfter([prepared, waiting, assigned]))).toBeNull();
  });

  it('is the steps to come, and the validations once one has been seen', () => {
    const first = Array.from({ length: 10 }, (_, index) => step(index));
    expect(estimateLeft(stateAfter([prepared, assigned, ...first.slice(0, 4)]))).toEqual({
      epoch: 12,
      run: 52,
    });
    const second = stateAfter([prepared, assigned, ...first, epoch, step(10)]);
    expect(second.evaluationSeconds).toBe(5);
    expect(estimateLeft(second)).toEqual({ epoch: 9 * 2 + 5, run: 9 * 2 + 5 + 25 });
  });
});

describe('the live line', () => {
  const live = (events: readonly RunEvent[], columns = 200) =>
    renderLive(stateAfter(events), events.length * 1000, columns);

  it('follows the run', () => {
    const dataset: RunEvent = { kind: 'dataset', phase: 'verifying', done: 200, total: 800 };
    expect(live([])).toEqual([]);
    expect(live([{ ...dataset, done: 0 }, dataset])[0]).toMatch(
      /^verifying images ━{6}─{18} 200\/800 · 00:06 left$/,
    );
    expect(live([{ ...dataset, phase: 'listing', total: 0 }])).toEqual(['listing images: 200']);
    expect(live([prepared, waiting])).toEqual(['waiting for the workers']);
    // Where they could join before the images were verified.
    expect(live([waiting, dataset, prepared])).toEqual(['waiting for the workers']);
    expect(live([prepared, waiting, assigned])).toEqual(['the workers prepare the network']);
    const trained = [prepared, assigned, step(0), step(1)];
    const line = `epoch 1/3 ${'━'.repeat(5)}${'─'.repeat(19)} 2/10 · loss 1.5000 · 32.0 images/s`;
    expect(live(trained)).toEqual([`${line} · epoch 00:16 left · run 00:56 left`]);
    expect(live([...trained, { kind: 'stopping', reason: 'SIGINT' }])[0]).toMatch(/ · stopping$/);
    expect(live([...trained, { kind: 'summary', ...summary }])).toEqual([]);
  });

  it('shows since when the workers are others', () => {
    const recovered: RunEvent = {
      ...{ kind: 'recovered', generation: 2, worldSize: 3, step: 1, causes: [], seconds: 1.5 },
      ...{ stepsRedone: 1, copies: [] },
    };
    const [line] = live([prepared, assigned, step(0), recovered, step(1)]);
    expect(line).toContain(' 2/10 · 3 workers since step 1 · loss ');
    expect(
      live([prepared, assigned, step(0), recovered, { ...recovered, worldSize: 1, step: 2 }])[0],
    ).toContain(' · 1 worker since step 2 · ');
  });

  it('counts a download in megabytes, and hopes for no speed that a broken one had', () => {
    const download = (done: number): RunEvent => ({
      kind: 'dataset',
      ...{ phase: 'downloading', subject: 'pets', unit: 'bytes', done, total: 80e6 },
    });
    expect(live([download(40e6), download(60e6)])).toEqual([
      `downloading pets ${'━'.repeat(18)}${'─'.repeat(6)} 60.0/80.0 MB · 00:02 left`,
    ]);
    expect(live([download(40e6)])).toEqual([
      `downloading pets ${'━'.repeat(12)}${'─'.repeat(12)} 40.0/80.0 MB`,
    ]);
  });

  it('never wraps', () => {
    for (const columns of [1, 20, 80]) {
      for (const line of live([prepared, assigned, step(0)], columns)) {
        expect(line.length).toBeLessThanOrEqual(Math.max(1, columns - 1));
      }
    }
  });
});
