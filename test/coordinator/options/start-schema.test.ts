import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startOptions } from '../../../coordinator/cli/command-options.js';
import { dashed } from '../../../coordinator/options/option.js';
import { parseStart, startOptionNames, startTable } from '../../../coordinator/options/start-schema.js';
import {
  describeTraining,
  plannedOptions,
  resolveTraining,
} from '../../../coordinator/options/training-options.js';

const root = fileURLToPath(new URL('../../../coordinator/', import.meta.url));

/** Where the options' entries stand. */
const tables = ['data', 'network', 'recipe', 'run'].map((group) => `options/${group}-options.ts`);

/** The rooms that treat all options alike: nothing there names one. */
const alike = ['cli', 'options', 'run-store', 'report', 'terminal', 'telemetry'];
/**
 * What single options mean for each other, and the command that shares some of them. Options that are not
 * listed stand in the table alone.
 */
const meanings: Record<string, readonly string[]> = {
  'options/check-training.ts': Object.keys(startTable),
  'options/start-config.ts': ['data', 'batchSize', 'microBatch'],
  'options/option.ts': ['earlyStopping', 'freezeEpochs', 'batchSize'],
  'cli/chaos.ts': ['seed', 'batchSize', 'microBatch'],
  'cli/command-options.ts': ['data', 'valid'],
  'cli/interpret.ts': ['labels'],
  'cli/lr-find.ts': ['from'],
  'cli/pack.ts': ['data', 'labelPattern', 'labels', 'valid', 'skipBroken', 'seed'],
  'cli/data-plan.ts': ['data', 'batchSize', 'microBatch', 'shuffleWindow', 'validPct', 'split', 'seed'],
  'cli/show-batch.ts': ['seed', 'size', 'augment', 'shuffleWindow', 'batchSize', 'microBatch'],
  'run-store/verify-images.ts': ['data', 'valid', 'skipBroken'],
  'run-store/verify-shares.ts': ['microBatch'],
  'report/page/recipe-section.ts': ['labelPattern'],
  'run-store/epoch-record.ts': ['classWeights'],
  'run-store/measures.ts': ['classWeights'],
  'report/interpretation.ts': ['classWeights'],
  'report/write-report.ts': ['classWeights'],
};

function mentions(key: string): string[] {
  const names = key === dashed(key) ? `--${key}` : `${key}|${dashed(key)}`;
  const pattern = new RegExp(`(?<![\\w-])(?:${names})(?![\\w-])`);
  return alike
    .flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    )
    .filter((file) => pattern.test(withoutProse(readFileSync(file, 'utf8'))))
    .map((file) => relative(root, file).split(sep).join('/'))
    .filter((file) => !tables.includes(file));
}

/** Examples of command lines are for people. */
function withoutProse(code: string): string {
  return code.replace(/= `\n[\s\S]*?`;/g, '').replace(/^\s*(?:\/?\*|\/\/).*$/gm, '');
}

const training = Object.entries(startTable).filter(([, { kind }]) => kind === 'training');

describe('the table of options', () => {
  it.each(training.map(([key]) => key))('%s stands in one place', (key) => {
    const declared = tables.filter((file) =>
      new RegExp(`^  ${key}: \\w+Option[<(]`, 'm').test(readFileSync(join(root, file), 'utf8')),
    );
    expect(declared).toHaveLength(1);
    expect(mentions(key).filter((file) => meanings[file]?.includes(key) !== true)).toEqual([]);
  });

  it('is all that the command line and config files know', () => {
    expect(startOptions().map((option) => option.name())).toEqual([...startOptionNames, 'config']);
    expect(startOptionNames.length).toBeGreaterThan(30);
  });

  it('is recorded whole, with a value for every training option', () => {
    const options = resolveTraining({});
    expect(Object.keys(options)).toEqual(training.map(([key]) => key));
    expect(Object.values(options)).not.toContain(undefined);
  });

  it('hands the run’s configuration what it marks for it', () => {
    const planned = plannedOptions(resolveTraining({ labelSmoothing: 0.1, ema: 0.9 }));
    expect(planned).toMatchObject({
      labelSmoothing: 0.1,
      weightDecay: 0.01,
      wire: 'float32',
      clipNorm: null,
    });
    expect(planned).not.toHaveProperty('ema');
    expect(planned).not.toHaveProperty('data');
  });

  it('tells the recipe what was asked for, and not what was left out', () => {
    const plain = describeTraining(resolveTraining({}));
    expect(plain).toContainEqual(['Weight decay', '0.01']);
    expect(plain.map(([title]) => title)).not.toContain('Label smoothing');
    const asked = describeTraining(resolveTraining(parseStart({ 'label-smoothing': '0.1', mixup: 0.4 })));
    expect(asked).toContainEqual(['Label smoothing', '0.1']);
    expect(asked).toContainEqual(['Mixup', 'α 0.4']);
  });

  it('reads a run that was recorded before an option existed', () => {
    const { mixup, ...older } = resolveTraining({});
    expect(mixup).toBe(0);
    expect(describeTraining(older as ReturnType<typeof resolveTraining>)).toContainEqual(['Seed', '42']);
  });

  it('refuses a name that it does not hold', () => {
    expect(() => parseStart({ wokers: 3 })).toThrow('there is no option --wokers');
  });
});
