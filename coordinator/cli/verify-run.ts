import { resolve } from 'node:path';
import type { Command } from 'commander';
import { installation } from '../../runtime/installation.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { resolveFolder } from '../dataset/check-dataset.js';
import { findPack } from '../dataset/packed-images.js';
import { resolvePlace } from '../options/value-types.js';
import { describeChanges } from '../run-store/image-record.js';
import { type LedgerLine, readLedger } from '../run-store/ledger.js';
import { findRunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { readSummary } from '../run-store/summary.js';
import { type ImagesVerdict, verifyRunImages } from '../run-store/verify-images.js';
import { type StepRange, type Verdict, verifyLedger } from '../run-store/verify-ledger.js';
import { alignColumns, formatCount } from '../terminal/figures.js';
import { openWorkProgress } from '../terminal/work-progress.js';
import { commandOnRun, movedDataOption, movedValidOption, runDirOption } from './command-options.js';
import type { StartEnvironment } from './start.js';

export type VerifyEnvironment = Pick<StartEnvironment, 'output' | 'openLifecycle' | 'exit'>;

/** Of the ledger, and of the images where they were looked at. */
export type RunVerdict = Verdict & { readonly images?: ImagesVerdict };

interface VerifyFlags {
  readonly runDir: string;
  readonly images: boolean;
  readonly data?: string;
  readonly valid?: string;
  readonly json?: boolean;
}

export function verifyRunCommand({ output, openLifecycle, exit }: VerifyEnvironment): Command {
  return commandOnRun(
    'verify-run',
    'Proves from its ledger that a run used each sample of each epoch exactly once, as planned, and that the images are still the same.',
  )
    .addOption(runDirOption())
    .option('--no-images', 'look at the ledger alone')
    .addOption(movedDataOption())
    .addOption(movedValidOption())
    .option('--json', 'the verdict as one JSON object')
    .addHelpText(
      'after',
      `
The run's images.sha256 holds the digest of every image; it is compared with the files in the data's folder. Files that did not change
since they were last verified are not read again. Where that folder is gone the ledger alone is verified, and that is said.

When something differs it says the first difference in the ledger, or the images that changed.`,
    )
    .action(async (run: string, { runDir, images, data, valid, json }: VerifyFlags) => {
      const lifecycle = openLifecycle();
      const progress = openWorkProgress('verifying', process.stderr);
      try {
        const verdict = await verifyRun(run, runDir, {
          images,
          ...(data === undefined ? {} : { data: resolvePlace(data) }),
          ...(valid === undefined ? {} : { valid: resolve(valid) }),
          signal: lifecycle.signal,
          onProgress: (done, total) => progress.report({ done, total }),
        });
        progress.close();
        writeLines(output, [
          json ? printableJson({ kind: 'verdict', ...verdict }) : describeVerdict(run, verdict),
        ]);
        exit(verdict.ok ? 0 : 1);
      } finally {
        progress.close();
        lifecycle.close();
      }
    });
}

export interface VerifyOptions {
  /** Whether to look at the images too. */
  readonly images: boolean;
  /** Where they are now, if they have moved; and those to validate on that have a folder of their own. */
  readonly data?: string;
  readonly valid?: string;
  readonly signal: AbortSignal;
  onProgress(done: number, total: number): void;
}

export const verifyDefaults: VerifyOptions = {
  images: true,
  signal: new AbortController().signal,
  onProgress() {},
};

/** Throws not-found when there is no such run, and data-loss when its files cannot be read. */
export async function verifyRun(
  run: string,
  runDir: string,
  o: VerifyOptions = verifyDefaults,
): Promise<RunVerdict> {
  const directory = findRunDirectory(run, runDir);
  const record = readRunRecord(directory);
  const summary = await readSummary(directory);
  const complete = summary?.status === 'completed';
  const verdict = await verifyLedger(record.config, readTwice(directory.ledger, o.signal), { complete });
  if (!verdict.ok || !o.images) return verdict;
  const moved = {
    ...(o.data === undefined
      ? {}
      : { data: (await findPack(o.data)) === null ? await resolveFolder(o.data, 'data') : o.data }),
    ...(o.valid === undefined ? {} : { valid: await resolveFolder(o.valid, 'valid') }),
  };
  const images = await verifyRunImages(directory, record, {
    ...{ moved, signal: o.signal, onProgress: o.onProgress },
    cacheDir: installation().cacheDir,
  });
  if (images.status !== 'changed') return { ...verdict, images };
  const difference = `the images are not those that the run began with: ${describeChanges({ ...images, added: [] })}`;
  return { ok: false, line: null, difference, images };
}

/** Begins with the ledger's first line at each call, and shows how far it is if that takes a while. */
function readTwice(path: string, signal: AbortSignal): () => AsyncIterable<LedgerLine> {
  const progress = openWorkProgress('reading', process.stderr, { subject: 'the ledger', unit: 'bytes' });
  let before = 0;
  return async function* read() {
    const readBefore = before;
    try {
      yield* readLedger(path, ({ done, total }) => {
        signal.throwIfAborted();
        before = total;
        progress.report({ done: readBefore + done, total: 2 * total });
      });
    } finally {
      progress.close();
    }
  };
}

export function describeVerdict(run: string, verdict: RunVerdict): string {
  if (!verdict.ok) {
    const where = verdict.line === null ? '' : `, ledger line ${verdict.line}`;
    return `${run}${where}: ${verdict.difference}`;
  }
  const { epochs, steps, samples, worldSizes, ranges, rollbacks, skipped, images } = verdict;
  const sentences = [
    `${run}: each sample is used exactly once in ${formatCount(epochs, 'whole epoch')}; ${formatCount(steps, 'step')} ` +
      `(${formatCount(samples, 'sample')}) as planned, world size ${worldSizes.join(', ')}`,
  ];
  if (rollbacks > 0) sentences.push(`${formatCount(rollbacks, 'rollback')} honoured`);
  if (skipped > 0) sentences.push(`${formatCount(skipped, 'step')} skipped by all workers as not finite`);
  if (images?.status === 'unchanged') sentences.push(`${formatCount(images.count, 'image')} unchanged`);
  if (images?.status === 'unavailable') sentences.push(`the images were not verified: ${images.reason}`);
  return [sentences.join('; '), ...describeRanges(ranges)].join('\n');
}

/** Who took which steps. */
function describeRanges(ranges: readonly StepRange[]): string[] {
  const rows = ranges.map(({ first, last, generation, worldSize, attempt }) => [
    first === last ? `step ${first}` : `steps ${first} to ${last}`,
    `generation ${generation}`,
    formatCount(worldSize, 'worker'),
    `attempt ${attempt}`,
  ]);
  return alignColumns(rows).map((line) => `  ${line}`);
}
