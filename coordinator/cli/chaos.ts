import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder, makeTemporaryFolder } from '../../runtime/make-folder.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import type { ChaosEvent, RunName } from '../chaos/chaos-events.js';
import { type FaultKind, faultKinds } from '../chaos/faults.js';
import { runChaos } from '../chaos/run-chaos.js';
import { defaults } from '../options/run-options.js';
import type { StartTable } from '../options/start-schema.js';
import { formatCount } from '../terminal/figures.js';
import { openWorkProgress, type WorkProgress } from '../terminal/work-progress.js';
import { renderChaosEvent, renderChaosResult } from './chaos-lines.js';
import { pickStartOptions, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** Of `start`: what makes a trial short or long. */
const trainingOptions: readonly (keyof StartTable)[] = [
  ...(['data', 'arch', 'size', 'batchSize', 'microBatch', 'epochs', 'lr'] as const),
  ...(['threads', 'wire', 'silenceLimit', 'cacheGib'] as const),
];

const help = `
Trains a run twice on this machine: once left alone, and once with faults that are drawn from --seed, one after the other at steps spread
over the run. Then it says how soon each fault was noticed and training went on, what was computed again, how fast the run was beside the
undisturbed one, and whether both ended with the same state, bit for bit.

  kill         a worker's process ends (SIGKILL); it is started again
  stop         a worker stands still for 3 to 30 s (SIGSTOP, SIGCONT); silent for --silence-limit, it is lost, and joins anew
  partition    what a worker and the coordinator send each other is held back for 3 to 30 s, in one or both directions; it is lost, and joins anew
  leave        a worker is told to end (SIGTERM); another takes its place some seconds later
  scale        workers are started or stopped while the others go on
  coordinator  the coordinator's process ends (SIGKILL); it is started again by --resume

The same seed gives the same faults after the same steps; whom they hit depends on who is there. Figures are those of this machine while
nothing else runs on it: with more workers than cores, a starting worker slows the others down. A fault that hits nobody is said, and left out.

It exits with 1 when the states differ, when the ledger does not show each sample of each epoch exactly once, when the run went back to a checkpoint
though a worker that held its state was not hit, or when a process or a file in shared memory is left; then, and with --keep, the two runs stay in their folder: look at them with \`coordinator verify-run\`.
Ctrl-C ends the run that is going on, and leaves nothing running.

Examples:
  coordinator chaos
      the sample set, four workers, eight faults of every kind: some minutes
  coordinator chaos --faults 5 --kinds kill --workers 2 --arch resnet18 --size 64
      kills alone, on a small network
  coordinator chaos --data photos --epochs 10 --faults 30 --seed 7 --json > trial.jsonl`;

interface ChaosFlags {
  readonly workers: number;
  readonly faults: number;
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly timeout: number;
  readonly keep?: string;
  readonly json?: boolean;
  readonly [option: string]: unknown;
}

export function chaosCommand(environment: StartEnvironment): Command {
  const command = new Command('chaos')
    .description('Disturbs a run, and shows what that costs and that its result stays the same, bit for bit.')
    .optionsGroup('Faults:')
    .option('--faults <N>', 'how many', wholeNumber(1, 1_000), 8)
    .addOption(
      new Option('--kinds <KINDS>', `of ${faultKinds.join(', ')}; several with commas`)
        .argParser(readKinds)
        .default(faultKinds, 'all'),
    )
    .option('--seed <N>', 'what they are drawn from', wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--timeout <MINUTES>', 'gives the trial up after so long', wholeNumber(1, 100_000), 60)
    .optionsGroup('Training, as in `coordinator start`:')
    .option('--workers <N>', 'on this machine', wholeNumber(1, 64), 4);
  for (const option of pickStartOptions(trainingOptions)) command.addOption(option);
  return command
    .optionsGroup('Run and output:')
    .option(
      '--keep <DIR>',
      'folder that keeps the two runs (default: a temporary one, removed when all is well)',
    )
    .option('--json', 'one JSON object per line')
    .addHelpText('after', help)
    .action(async (flags: ChaosFlags) => environment.exit(await chaos(flags, environment)));
}

/** Returns the exit code. @throws RondoError of a run that failed. */
async function chaos(flags: ChaosFlags, { output, argv, openLifecycle }: StartEnvironment): Promise<number> {
  const { workers, faults, seed, kinds, timeout, keep, json = false } = flags;
  const folder = keep === undefined ? makeTemporaryFolder('rondo-chaos-') : resolve(keep);
  makeFolder(folder);
  const lifecycle = openLifecycle();
  const limit = new AbortController();
  const timer = setTimeout(() => {
    const text = `the trial took longer than ${formatCount(timeout, 'minute')}`;
    const remedy = `give it more with --timeout, or a smaller network; its runs are in ${folder}`;
    limit.abort(new RondoError('deadline-exceeded', text, { remedy }));
  }, 60_000 * timeout);
  const progresses = new Map<RunName, WorkProgress>();
  const progressOf = (run: RunName) => {
    const progress =
      progresses.get(run) ??
      openWorkProgress('training', process.stderr, { subject: `the ${run} run, steps` });
    progresses.set(run, progress);
    return progress;
  };
  const hideProgress = () => {
    for (const progress of progresses.values()) progress.close();
  };
  const say = (event: object, lines: readonly string[]) => {
    if (lines.length > 0) hideProgress();
    writeLines(output, json ? [printableJson(event)] : lines);
  };
  const report = (event: ChaosEvent) => {
    if (event.kind === 'progress') {
      progressOf(event.run).report({ done: event.steps, total: event.totalSteps });
    }
    say(event, renderChaosEvent(event));
  };
  try {
    const plan = { kind: 'plan', workers, faults, seed, kinds };
    const text = `${formatCount(workers, 'worker')}, ${formatCount(faults, 'fault')} of ${kinds.join(', ')}, seed ${seed}`;
    say(plan, [text, 'first the run that nobody touches']);
    const result = await runChaos({
      ...{ workers, faults, seed, kinds, folder, keep: keep !== undefined, report },
      program: argv[1]!,
      inputs: inputsOf(flags),
      signal: AbortSignal.any([lifecycle.signal, limit.signal]),
    });
    const silenceSeconds = Number(flags.silenceLimit ?? defaults.silenceLimit);
    say({ kind: 'chaos', ...result }, renderChaosResult(result, silenceSeconds));
    return result.ok ? 0 : 1;
  } catch (thrown) {
    const error = RondoError.from(thrown);
    const where = `what there is of the two runs is in ${folder}`;
    const remedy = error.remedy?.includes(folder)
      ? error.remedy
      : [error.remedy, where].filter(Boolean).join('; ');
    throw new RondoError(error.code, error.message, { remedy, cause: thrown });
  } finally {
    clearTimeout(timer);
    hideProgress();
    lifecycle.close();
  }
}

/** The options of `start` that were given, as they were. */
function inputsOf(flags: ChaosFlags): string[] {
  return pickStartOptions(trainingOptions).flatMap((option) => {
    const value = flags[option.attributeName()];
    return value === undefined ? [] : [`--${option.name()}`, String(value)];
  });
}

function readKinds(text: string): readonly FaultKind[] {
  const kinds = text.split(',').map((kind) => kind.trim());
  const known = kinds.filter((kind): kind is FaultKind => faultKinds.some((each) => each === kind));
  if (known.length === kinds.length && known.length > 0) return known;
  throw new InvalidArgumentError(`They must be of ${faultKinds.join(', ')}, several with commas.`);
}
