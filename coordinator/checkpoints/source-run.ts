import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { RunConfig } from '../../plan/run-config.js';
import { writeDurably } from '../../runtime/durable-file.js';
import { encodeSafetensorsHeader } from '../../runtime/safetensors.js';
import { refused } from '../options/option.js';
import { defaults } from '../options/run-options.js';
import type { RawStart, TrainingOptions } from '../options/start-schema.js';
import {
  findRunDirectory,
  type RunDirectory,
  type RunRecord,
  readRunRecord,
  runDirectoryAt,
  type SourceRecord,
} from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { type CheckpointRecord, readDataStart } from './checkpoint-file.js';
import { type ChosenCheckpoint, chooseCheckpoint } from './choose-checkpoint.js';
import type { StartingWeights } from './pretrained.js';

/** What --from stands for: a run and one of its checkpoints, whose bytes are checked. */
export interface SourceRun {
  readonly record: RunRecord;
  readonly checkpoint: ChosenCheckpoint;
}

/**
 * The options with the architecture of the run that --from names, which a new run must have too, and with its
 * kind of head, unless they are given; without --from they stay as they are. Throws not-found when there is
 * no such run.
 */
export function adoptArch(raw: RawStart): RawStart {
  const { from, resume, 'run-dir': runDir = defaults.runDir } = raw;
  if (typeof from !== 'string' || typeof runDir !== 'string' || resume !== undefined) return raw;
  if (raw.arch !== undefined && raw.head !== undefined) return raw;
  const { arch, head } = readRunRecord(locate(from, runDir).directory).config;
  return { ...raw, arch: raw.arch ?? arch, head: raw.head ?? head };
}

/**
 * Finds --from: the folder of a checkpoint, or a run by name or folder and then its best checkpoint. Throws
 * not-found, data-loss for damaged files, invalid-argument when the new run has another architecture.
 */
export async function findSource(
  from: string,
  runDir: string,
  { arch }: Pick<TrainingOptions, 'arch'>,
): Promise<SourceRun> {
  const { directory, checkpoint } = locate(from, runDir);
  const record = readRunRecord(directory);
  if (record.config.arch !== arch) {
    throw refused(
      `--arch is ${arch}, but run ${record.runId}, which --from names, trained ${record.config.arch}`,
      'leave --arch out',
    );
  }
  return { record, checkpoint: await chooseCheckpoint(directory, checkpoint) };
}

function locate(from: string, runDir: string): { directory: RunDirectory; checkpoint: string | undefined } {
  for (const path of [from, join(runDir, from)]) {
    const run = dirname(dirname(resolve(path)));
    if (existsSync(join(path, 'checkpoint.json')) && existsSync(runDirectoryAt(run).record)) {
      return { directory: runDirectoryAt(run), checkpoint: basename(resolve(path)) };
    }
  }
  return { directory: findRunDirectory(from, runDir), checkpoint: undefined };
}

/**
 * Copies the weights of another run's checkpoint to a file of the new one's, at `path`: that run may change
 * or go.
 */
export async function takeOver(
  source: SourceRun,
  config: RunConfig,
  path: string,
  { report }: { report(event: RunEvent): void },
): Promise<{ weights: StartingWeights; record: SourceRecord }> {
  const { record, checkpoint } = source;
  const withHead = headFits(record.config, config);
  const weights = await writeSourceWeights(path, source, withHead);
  const { step, parameterDigest } = checkpoint.record;
  const start = `starting from ${checkpoint.name} of run ${record.runId} (step ${step})`;
  const text = withHead ? start : `${start}, with a fresh head: its classes differ from that run's`;
  report({ kind: 'note', text });
  const head = withHead ? 'taken over' : 'fresh';
  return {
    weights,
    record: { runId: record.runId, checkpoint: resolve(checkpoint.path), step, parameterDigest, head },
  };
}

/** Whether a head of `source` means the same in `config`: the classes agree by name and order. */
function headFits(source: RunConfig, config: RunConfig): boolean {
  return source.head === config.head && isDeepStrictEqual(source.classes, config.classes);
}

/**
 * Writes what a new run takes over from a checkpoint as a safetensors file at `path`: parameters and running
 * statistics (their moving averages, where the run kept these), no moments, and the head's only when
 * `withHead`.
 */
async function writeSourceWeights(
  path: string,
  { checkpoint }: SourceRun,
  withHead: boolean,
): Promise<StartingWeights> {
  const tensors = chooseTensors(checkpoint.record.tensors, withHead);
  const file = await open(checkpoint.state, 'r');
  try {
    const dataStart = await readDataStart(checkpoint.state);
    const values: Uint8Array[] = [];
    for (const tensor of tensors) values.push(await readTensor(file, dataStart, tensor));
    const header = encodeSafetensorsHeader(
      tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
      { format: 'pt' },
    );
    const hash = createHash('sha256');
    for (const part of [header, ...values]) hash.update(part);
    await writeDurably(path, [header, ...values]);
    return { path, digest: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

type Tensor = CheckpointRecord['tensors'][number];

function chooseTensors(tensors: readonly Tensor[], withHead: boolean): Tensor[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return tensors
    .filter(({ name }) => !/^(optimizer|average)\./.test(name) && (withHead || !/^(head|fc)\./.test(name)))
    .map((tensor) => ({ ...(byName.get(`average.${tensor.name}`) ?? tensor), name: tensor.name }));
}

async function readTensor(
  file: FileHandle,
  dataStart: number,
  { shape, offset }: Tensor,
): Promise<Uint8Array> {
  const bytes = 4 * shape.reduce((product, side) => product * side, 1);
  const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, dataStart + 4 * offset);
  return buffer;
}
