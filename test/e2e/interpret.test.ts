import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../coordinator/dataset/dataset.js';
import { runCoordinator } from '../support/coordinator-process.js';
import { readJsonLines, readSummaryFile } from '../support/run-files.js';
import { findAll, parseStrictHtml, textOf } from '../support/strict-html.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(35);
const { data } = runs;
const rough = '<b>&"green';
/** Path and class of every validation image, as a fresh index of the folder has them. */
let valid: { path: string; actual: string }[];

interface Line {
  readonly path: string;
  readonly actual: string;
  readonly predicted: string;
  readonly loss: number;
  readonly probability: number;
}

beforeAll(async () => {
  renameSync(path.join(data, 'green'), path.join(data, rough));
  const { dataset } = await openDataset({
    data,
    validPct: 0.7,
    seed: 42,
    cacheDir: path.join(runs.root, 'cache'),
    onProgress: () => {},
    signal: new AbortController().signal,
  });
  valid = Array.from(dataset.valid, ({ path: name, label }) => ({
    path: name,
    actual: dataset.classes[label]!,
  }));
});

function readReport(name: string) {
  const folder = path.join(runs.run(name), 'report');
  return {
    lines: readJsonLines<Line>(path.join(folder, 'predictions.jsonl')),
    figures: JSON.parse(readFileSync(path.join(folder, 'interpretation.json'), 'utf8')),
    page: parseStrictHtml(readFileSync(path.join(folder, 'index.html'), 'utf8')),
  };
}

/** What interpretation.json must say of the lines, counted again. */
function recount(lines: readonly Line[], classes: readonly string[]) {
  const times = (actual: string, predicted: string) =>
    lines.filter((line) => line.actual === actual && line.predicted === predicted).length;
  const errors = lines.filter(({ actual, predicted }) => actual !== predicted).length;
  return {
    images: lines.length,
    errors,
    errorRate: errors / lines.length,
    confusionMatrix: classes.map((actual) => classes.map((predicted) => times(actual, predicted))),
  };
}

/** Each image once, with what another world computed of it. */
function expectSamePredictions(lines: readonly Line[], others: readonly Line[]): void {
  expect(lines.map(({ path: name }) => name)).toEqual(others.map(({ path: name }) => name));
  for (const [index, { predicted, loss }] of lines.entries()) {
    expect(predicted).toBe(others[index]!.predicted);
    expect(Math.abs(others[index]!.loss - loss)).toBeLessThan(1e-4 * (1 + loss));
  }
}

describe('the report', () => {
  it('is left by a run, with every validation image once, and counts what the run counted', async () => {
    const { code, stderr } = await runCoordinator(
      runs.start('whole', data, '--workers', '2', '--epochs', '1', '--valid-pct', '0.7', '--threads', '1'),
    );
    expect(code, stderr).toBe(0);
    const summary = readSummaryFile(runs.run('whole'));
    expect(summary.report).toBe(path.join(runs.run('whole'), 'report', 'index.html'));
    const { lines, figures, page } = readReport('whole');
    expect(lines.map(({ path: name, actual }) => ({ path: name, actual }))).toEqual(valid);
    expect(figures.classes).toEqual([rough, 'blue', 'red']);
    expect(figures).toMatchObject(recount(lines, figures.classes));
    expect(figures.errorRate).toBe(summary.epochs[0]!.error_rate);
    expect(figures.validLoss).toBeCloseTo(summary.epochs[0]!.valid_loss!, 9);
    for (const { loss, probability } of lines) expect(Math.exp(-loss)).toBeCloseTo(probability, 4);
    expect(findAll(page, 'img')).toHaveLength(12);
    expect(findAll(page, 'th').map(textOf)).toContain(rough);
  });

  // Three batches of evaluation, of which one of four workers has none.
  it('is written again by interpret, over 4 workers, and says the same', async () => {
    const before = readReport('whole');
    expect(valid).toHaveLength(74);
    const inputs = ['interpret', runs.run('whole'), '--workers', '4', '--top', '4', '--json'];
    const { code, stderr, events } = await runCoordinator(inputs);
    expect(code, stderr).toBe(0);
    const { lines, figures, page } = readReport('whole');
    expect(events.at(-1)).toMatchObject({ kind: 'interpretation', checkpoint: 'epoch-0000', ...figures });
    expect(findAll(page, 'figcaption')).toHaveLength(4);
    expectSamePredictions(lines, before.lines);
  });

  it('finds images that have moved, where it is told, and refuses others', async () => {
    const before = readReport('whole');
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'moved photos '));
    const place = path.join(elsewhere, "it's here");
    renameSync(data, place);
    try {
      const interpret = (...inputs: string[]) =>
        runCoordinator(['interpret', runs.run('whole'), '--workers', '1', '--json', ...inputs]);
      const gone = await interpret();
      expect(gone.stderr).toMatch(/there is no folder .*\n.*say where it is now: --data DIR/);
      expect(gone.code).toBe(2);
      const moved = await interpret('--data', place);
      expect(moved.code, moved.stderr).toBe(0);
      expect(moved.events.at(-1)).toMatchObject({ kind: 'interpretation', images: valid.length });
      expectSamePredictions(readReport('whole').lines, before.lines);
      rmSync(path.join(place, valid[0]!.path));
      const changed = await interpret('--data', place);
      expect(changed.stderr).toMatch(/are not those that run whole began with/);
      expect(changed.code).toBe(3);
    } finally {
      renameSync(place, data);
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('says what it lacks', async () => {
    const cases: [string[], number, RegExp][] = [
      [['interpret', runs.run('hole')], 2, /there is no run/],
      [['interpret', runs.run('whole'), '--checkpoint', 'epoch-0001'], 2, /no checkpoint epoch-0001/],
      [['interpret', runs.run('whole'), '--top', 'all'], 2, /whole number from 1 to 1000/],
    ];
    for (const [inputs, exitCode, message] of cases) {
      const { code, stderr } = await runCoordinator(inputs);
      expect(stderr).toMatch(message);
      expect(code).toBe(exitCode);
    }
  });
});
