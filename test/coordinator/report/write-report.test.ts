import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { writeReport } from '../../../coordinator/report/write-report.js';
import { makeReportRequest, reportConfig, roughClasses } from '../../support/report-run.js';
import { readJsonLines } from '../../support/run-files.js';
import { findAll, parseStrictHtml } from '../../support/strict-html.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const files = [
  'confusion-matrix.png',
  'index.html',
  'interpretation.json',
  'learning-curves.png',
  'predictions.jsonl',
  'schedule.png',
  'top-losses.png',
];

describe('writeReport', () => {
  it('writes every file, and pictures with something on them', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const { index, unreadable } = await writeReport(request);
    const folder = request.directory.report;
    expect(readdirSync(folder).sort()).toEqual(files);
    expect(index).toBe(path.join(folder, 'index.html'));
    expect(unreadable).toEqual([]);
    const page = parseStrictHtml(readFileSync(index, 'utf8'));
    const sources = findAll(page, 'img').map(({ attributes }) => attributes.get('src')!.split(',')[1]!);
    expect(sources).toHaveLength(request.topCount);
    for (const source of sources) {
      const { format, width, height } = await sharp(Buffer.from(source, 'base64')).metadata();
      expect({ format, width, height }).toEqual({ format: 'jpeg', width: 288, height: 288 });
    }
    for (const name of files.filter((file) => file.endsWith('.png'))) {
      const { channels } = await sharp(readFileSync(path.join(folder, name))).stats();
      expect(channels[0]!.stdev, name).toBeGreaterThan(5);
    }
  });

  it('keeps every prediction, in order, so that the figures can be counted again', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const { figures } = await writeReport(request);
    const folder = request.directory.report;
    const lines = readJsonLines<Record<string, unknown>>(path.join(folder, 'predictions.jsonl'));
    const { predictions, losses, probabilities } = request.evaluation;
    expect(lines).toEqual(
      Array.from(request.dataset.valid, ({ path: name, label }, id) => ({
        path: name,
        actual: roughClasses[label],
        predicted: roughClasses[predictions[id]!],
        loss: losses[id],
        probability: probabilities[id],
      })),
    );
    const stored = JSON.parse(readFileSync(path.join(folder, 'interpretation.json'), 'utf8'));
    expect(stored).toEqual(figures);
    const errors = lines.filter(({ actual, predicted }) => actual !== predicted).length;
    expect(stored).toMatchObject({ images: lines.length, errors, errorRate: errors / lines.length });
    const ranked = lines.toSorted((a, b) => (b.loss as number) - (a.loss as number));
    expect(stored.topLosses).toEqual(ranked.slice(0, request.topCount));
  });

  it('takes the samples in the order of the evaluation', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const { sampleIds } = request.evaluation;
    const evaluation = { ...request.evaluation, sampleIds: sampleIds.toReversed() };
    await writeReport({ ...request, evaluation });
    const lines = readJsonLines<{ path: string }>(path.join(request.directory.report, 'predictions.jsonl'));
    expect(lines.map((line) => line.path)).toEqual(
      Array.from(request.dataset.valid, (sample) => sample.path).toReversed(),
    );
  });

  it('says which images are gone, and shows the rest', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const { figures } = await writeReport(request);
    const [gone, broken] = figures.topLosses.map((loss) => loss.path);
    rmSync(path.join(request.dataset.root, gone!));
    writeFileSync(path.join(request.dataset.root, broken!), 'no image');
    const { index, unreadable } = await writeReport(request);
    expect(unreadable).toEqual([gone, broken]);
    const page = parseStrictHtml(readFileSync(index, 'utf8'));
    expect(findAll(page, 'img')).toHaveLength(request.topCount - 2);
    expect(findAll(page, 'figcaption')).toHaveLength(request.topCount);
  });

  it('replaces a report whole, and leaves it when there is none to put in its place', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const { report, path: run, record } = request.directory;
    mkdirSync(report);
    writeFileSync(path.join(report, 'old.txt'), 'old');
    await writeReport(request);
    expect(readdirSync(report).sort()).toEqual(files);
    writeFileSync(record, '{}');
    await expect(writeReport(request)).rejects.toMatchObject({ code: 'data-loss' });
    expect(readdirSync(report).sort()).toEqual(files);
    expect(readdirSync(run).sort()).toEqual(['report', 'run.json']);
    expect(existsSync(path.join(report, 'old.txt'))).toBe(false);
  });

  it('reports a run that was never evaluated in training, and one whose losses are not finite', async () => {
    const request = await makeReportRequest(temporaryFolder());
    const losses = request.evaluation.losses.map(() => Number.NaN);
    const history = {
      steps: request.history.steps.map((step) => ({ ...step, loss: null })),
      epochs: [],
      workers: [],
    };
    const { index, figures } = await writeReport({
      ...request,
      history,
      evaluation: { ...request.evaluation, losses, probabilities: losses },
    });
    expect(figures.validLoss).toBeNull();
    expect(readFileSync(index, 'utf8')).not.toContain('NaN');
  });

  it('has pictures and figures of a bounded size with a thousand classes', async () => {
    const classes = Array.from({ length: 1_000 }, (_, index) => `class ${index}`);
    const request = await makeReportRequest(temporaryFolder(), reportConfig({ classes, validCount: 60 }));
    const { figures } = await writeReport(request);
    const { report } = request.directory;
    const { width, height } = await sharp(readFileSync(path.join(report, 'confusion-matrix.png'))).metadata();
    expect(Math.max(width, height)).toBeLessThan(4_000);
    expect(figures.confusionMatrix).toBeNull();
    expect(figures.scores).toHaveLength(1_000);
    expect(statSync(path.join(report, 'interpretation.json')).size).toBeLessThan(400_000);
  });
});
