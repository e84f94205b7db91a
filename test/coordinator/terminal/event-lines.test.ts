import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { renderEvent } from '../../../coordinator/terminal/event-lines.js';
import { formatDuration } from '../../../coordinator/terminal/figures.js';
import { assigned, epoch, prepared, summary, waiting } from '../../support/run-events.js';

describe('the table', () => {
  it('has fastai’s columns and images/s, one under the other', () => {
    expect([...renderEvent(assigned), ...renderEvent(epoch)]).toEqual([
      'epoch  train_loss  valid_loss  error_rate  time     images/s',
      '0      1.903421    1.500000    0.250000    00:25    32.0',
    ]);
    expect(renderEvent({ ...epoch, train_loss: null })[0]).toContain('nan');
  });

  it('has the further measures where there is room for them', () => {
    const wide = [
      'epoch  train_loss  valid_loss  error_rate  balanced_error  macro_f1  top5_error  time     images/s',
      '0      1.903421    1.500000    0.250000    0.300000        0.700000  0.050000    00:25    32.0',
    ];
    expect([...renderEvent(assigned, 99), ...renderEvent(epoch, 99)]).toEqual(wide);
    expect([...renderEvent(assigned, 98), ...renderEvent(epoch, 98)]).toEqual([
      ...renderEvent(assigned),
      ...renderEvent(epoch),
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

  it('prints the head of the table anew when a coordinator has taken the place of another', () => {
    const recovered: RunEvent = {
      ...{ kind: 'recovered', generation: 3, worldSize: 2, step: 5, causes: [{ kind: 'restart' }] },
      ...{ seconds: 1.83, stepsRedone: 0, copies: [] },
    };
    expect(renderEvent(recovered)).toEqual([
      'the coordinator was started again: going on at step 5 with 2 workers after 1.8 s',
      ...renderEvent(assigned),
    ]);
  });

  it('says why workers are others, how soon that was noticed, and what it cost', () => {
    const loss = { kind: 'loss', workerId: 'one', reason: 'it closed its session', silentMs: 420 } as const;
    const recovered: RunEvent = {
      ...{ kind: 'recovered', generation: 2, worldSize: 2, step: 5, seconds: 1.83, stepsRedone: 1 },
      causes: [loss, { kind: 'join', workerId: 'guest' }],
      copies: [{ to: 'guest', from: 'two', bytes: 140_522_040, seconds: 2.5, megabytesPerSecond: 56.2 }],
    };
    expect(renderEvent(recovered)).toEqual([
      'one was lost: it closed its session; guest joined: noticed within 0.4 s · ' +
        'going on at step 5 with 2 workers after 1.8 s · guest copied 141 MB from two, 56 MB/s · 1 step taken again',
    ]);
  });

  it('tells how workers from elsewhere join', () => {
    expect(renderEvent({ ...waiting, tokenFile: 'runs/a/token', localWorkers: 0 } as RunEvent)).toEqual([
      'waiting for 2 of 2 workers: worker join --coordinator 127.0.0.1:7 --token-file runs/a/token',
    ]);
    const joining = { token: 'abc.def', hash: 'sha256:00' };
    const far = { ...waiting, address: '10.0.0.1:7070', joining };
    const line = '  worker join --coordinator 10.0.0.1:7070 --token abc.def --ca-hash sha256:00';
    expect(renderEvent({ ...far, localWorkers: 1 } as RunEvent)).toEqual([
      'waiting for 1 of 2 workers: on their machines, once for each',
      line,
    ]);
    expect(renderEvent(far as RunEvent)).toEqual(['others may join: on their machines', line]);
    const plain = { ...waiting, tokenFile: 'token', insecure: true, localWorkers: 0 };
    expect(renderEvent(plain as RunEvent)[0]).toMatch(/--insecure --token-file token$/);
  });
});
