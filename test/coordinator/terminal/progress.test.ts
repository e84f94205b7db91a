import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Summary } from '../../../coordinator/run-store/summary.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { renderEvent, renderTableHead, renderTableRow } from '../../../coordinator/terminal/event-lines.js';
import { formatDuration } from '../../../coordinator/terminal/figures.js';
import {
  advance,
  estimateLeft,
  initialProgress,
  renderLive,
} from '../../../coordinator/terminal/progress.js';
import { openReporter } from '../../../coordinator/terminal/reporter.js';
import { memoryOutput } from '../../support/memory-output.js';

const prepared: RunEvent = {
  kind: 'prepared',
  runId: 'mine',
  directory: 'runs/mine',
  arch: 'resnet34',
  size: 64,
  workers: 2,
  classes: 10,
  train: 640,
  valid: 160,
  quarantined: 0,
  epochs: 3,
  stepsPerEpoch: 10,
  startStep: 0,
};
const waiting: RunEvent = {
  ...{ kind: 'waiting', address: '127.0.0.1:7', tokenFile: null, workers: 2, localWorkers: 2 },
};
const assigned: RunEvent = { kind: 'assigned', generation: 1, workers: [] };
const step = (index: number, seconds = 2): RunEvent => ({
  kind: 'step',
  step: index,
  epoch: Math.floor(index / 10),
  loss: 1.5,
  samples: 64,
  seconds,
  skipped: false,
});
const epoch: Extract<RunEvent, { kind: 'epoch' }> = {
  kind: 'epoch',
  epoch: 0,
  train_loss: 1.903421,
  valid_loss: 1.5,
  error_rate: 0.25,
  balanced_error: 0.3,
  macro_f1: 0.7,
  top5_error: 0.05,
  seconds: 25,
  imagesPerSecond: 32.04,
};
const summary: Summary = {
  status: 'completed',
  runId: 'mine',
  directory: 'runs/mine',
  arch: 'resnet34',
  classes: ['a', 'b'],
  counts: { train: 640, valid: 160, quarantined: 0 },
  worldSize: 2,
  steps: 30,
  totalSteps: 30,
  skippedSteps: 0,
  earlyStopped: false,
  bestEpoch: null,
  bestCheckpoint: null,
  epochs: [epoch],
  parameterDigest: 'p',
  quarantined: [],
  recoveries: 0,
  kernels: [],
  metrics: { published: 10, dropped: 0 },
  wallSeconds: 75,
  error: null,
  resume: null,
  report: 'runs/mine/report/index.html',
};

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
    expect(live([prepared, waiting, assigned])).toEqual(['the workers prepare the network']);
    const trained = [prepared, assigned, step(0), step(1)];
    const line = `epoch 1/3 ${'━'.repeat(5)}${'─'.repeat(19)} 2/10 · loss 1.5000 · 32.0 images/s`;
    expect(live(trained)).toEqual([`${line} · epoch 00:16 left · run 00:56 left`]);
    expect(live([...trained, { kind: 'stopping', reason: 'SIGINT' }])[0]).toMatch(/ · stopping$/);
    expect(live([...trained, { kind: 'summary', ...summary }])).toEqual([]);
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

describe('the table', () => {
  it('has fastai’s columns and images/s, one under the other', () => {
    expect([renderTableHead(), renderTableRow(epoch)]).toEqual([
      'epoch  train_loss  valid_loss  error_rate  time     images/s',
      '0      1.903421    1.500000    0.250000    00:25    32.0',
    ]);
    expect(renderTableRow({ ...epoch, train_loss: null })).toContain('nan');
  });

  it('has the further measures where there is room for them', () => {
    const wide = [
      'epoch  train_loss  valid_loss  error_rate  balanced_error  macro_f1  top5_error  time     images/s',
      '0      1.903421    1.500000    0.250000    0.300000        0.700000  0.050000    00:25    32.0',
    ];
    expect([renderTableHead(99), renderTableRow(epoch, 99)]).toEqual(wide);
    expect([renderTableHead(98), renderTableRow(epoch, 98)]).toEqual([
      renderTableHead(),
      renderTableRow(epoch),
    ]);
  });

  it.each([
    [0, '00:00'],
    [59.6, '01:00'],
    [3599, '59:59'],
    [3600, '1:00:00'],
    [-1, '00:00'],
  ])('%d s is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('what stays', () => {
  it('says how to go on with a stopped run, and what metrics were lost', () => {
    const stopped: RunEvent = {
      kind: 'summary',
      ...summary,
      status: 'stopped',
      steps: 12,
      metrics: { published: 6, dropped: 4 },
      resume: 'coordinator start --resume mine',
      report: null,
    };
    expect(renderEvent(stopped)).toEqual([
      'stopped after 12 of 30 steps, in 01:15',
      '4 of 10 metrics were lost',
      'all of it is in runs/mine',
      'go on with: coordinator start --resume mine',
    ]);
  });

  it('says where the report of a completed run is', () => {
    const lines = renderEvent({ kind: 'summary', ...summary });
    expect(lines).toContain('report: runs/mine/report/index.html');
  });

  it('says what is about to be trained', () => {
    expect(
      renderEvent({ ...prepared, quarantined: 1, startStep: 12, epochs: 1, workers: 1 } as RunEvent),
    ).toEqual([
      'run mine in runs/mine',
      'resnet34 at 64 px · 10 classes · 640 images to train on, 160 to validate on · 1 epoch of 10 steps · 1 worker',
      '1 file left out as unusable: runs/mine/quarantined.jsonl',
      'going on after 12 steps',
    ]);
  });

  it('is nothing for a run that failed before its first step: the error says it all', () => {
    expect(renderEvent({ kind: 'summary', ...summary, status: 'failed', steps: 0 })).toEqual([]);
  });

  it('tells how workers from elsewhere join', () => {
    expect(renderEvent({ ...waiting, tokenFile: 'runs/a/token', localWorkers: 0 } as RunEvent)).toEqual([
      'waiting for 2 of 2 workers: worker join --coordinator 127.0.0.1:7 --token-file runs/a/token',
    ]);
  });
});

describe('reporters', () => {
  const story: RunEvent[] = [
    { kind: 'note', text: 'a note' },
    { kind: 'dataset', phase: 'verifying', done: 1, total: 800 },
    { kind: 'dataset', phase: 'verifying', done: 2, total: 800 },
    { kind: 'dataset', phase: 'verifying', done: 800, total: 800 },
    prepared,
    waiting,
    assigned,
    ...Array.from({ length: 10 }, (_, index) => step(index)),
    epoch,
    { kind: 'summary', ...summary },
  ];
  const tell = (output: ReturnType<typeof memoryOutput>, json: boolean) => {
    const reporter = openReporter(output, { json }, () => 0);
    for (const event of story) reporter.report(event);
    reporter.close();
    reporter.close();
    return output;
  };

  it('prints plain lines without control characters where there is no terminal', () => {
    const lines = tell(memoryOutput(), false).lines();
    expect(lines.join('\n')).toBe(stripVTControlCharacters(lines.join('\n')));
    expect(lines.filter((line) => line.startsWith('verifying'))).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith('epoch 1/3'))).toHaveLength(1);
    expect(lines).toContain(renderTableRow(epoch));
    expect(lines.at(-1)).toBe('all of it is in runs/mine');
  });

  it('prints every event as one JSON object for machines, progress on files now and then', () => {
    const lines = tell(memoryOutput({ isTTY: true }), true).lines();
    const expected = story.filter((event) => event.kind !== 'dataset' || event.done !== 2);
    expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
  });

  it('leaves on a terminal what lasts, and a visible cursor', () => {
    const text = tell(memoryOutput({ isTTY: true, columns: 80 }), false).text();
    expect(stripVTControlCharacters(text)).toContain(`${renderTableHead()}\n`);
    expect(stripVTControlCharacters(text)).toContain(`${renderTableRow(epoch)}\n`);
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(text.lastIndexOf('\u001b[?25l'));
  });
});
