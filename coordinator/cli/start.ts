import { once } from 'node:events';
import { basename, relative } from 'node:path';
import { Command } from 'commander';
import { healthPages } from '../../runtime/health.js';
import { imageEndings, maxImageSize } from '../../runtime/images.js';
import type { Lifecycle } from '../../runtime/lifecycle.js';
import { shellWord } from '../../runtime/printable.js';
import { adoptArch } from '../checkpoints/source-run.js';
import type { RunControl } from '../cluster/control.js';
import { gatherRaw } from '../options/config-file.js';
import { refused } from '../options/option.js';
import { defaults } from '../options/run-options.js';
import { resolveStart, type StartConfig } from '../options/start-config.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { type FinishedRun, findFinished } from '../run/finished-run.js';
import { dismissPods, openPodRun, type PodRun } from '../run/pod-run.js';
import {
  describePrepared,
  type PrepareContext,
  type PreparedRun,
  prepareNewRun,
} from '../run/prepare-run.js';
import { type Resumed, resumeCommand, resumeRun } from '../run/resume-run.js';
import { openRunHealth, type RunHealth } from '../run/run-health.js';
import type { RunServices } from '../run/services.js';
import { takeUp } from '../run/take-up.js';
import type { TrainContext } from '../run/train-context.js';
import { trainRun } from '../run/train-run.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { openReporter } from '../terminal/reporter.js';
import { keepRunLog } from '../terminal/run-log.js';
import { startOptions } from './command-options.js';

const examples = `
Examples:
  coordinator start --workers 4
      train on the sample set with four workers on this machine
  coordinator start --workers 2 --data photos --epochs 10 --name first-try
      photos/cat/*.jpg, photos/dog/*.jpg …
  coordinator start --data pets --pretrained imagenet --freeze-epochs 4 --epochs 2 --lr ,3e-3 --unfreeze-lr 1e-6,1e-4
      fine-tune: the head first, then all layers at rates that rise from early to late ones
  coordinator start --data pets --from runs/first-try/checkpoints/stage-1 --freeze-epochs 0 --epochs 2 --lr 1e-6,1e-4
      a new run from where another one's frozen epochs ended
  coordinator start --resume first-try --workers 4
      go on where a run was stopped
  coordinator start --supervised --name pets --data pets --listen 0.0.0.0:7070 --workers 4 --local-workers 0
      the same line each time, for a supervisor that starts it again: it begins the run, or goes on with it

Images are files that end in ${imageEndings}, of at most ${maxImageSize} each.
Others are passed over and named. --data also takes what \`coordinator pack\` wrote: its folder, or its URL at a web server
(http://, https://) or in a bucket (s3://; credentials, region and AWS_ENDPOINT_URL as AWS's tools take them).

RONDO_LOG=info has the coordinator and its workers log what happens, one JSON object a line, on standard error and in
logs/worker-N.log of the run; debug adds every step.

What is computed or fetched once is kept in RONDO_CACHE (else rondo in XDG_CACHE_HOME or ~/.cache): fetched and drawn data sets, weights,
what is known of images, in pixels/ the images that workers decoded, up to --cache-gib, and in objects/ as much of what
they fetched from URLs. It may be removed at any time.

Ctrl-C, SIGTERM or a terminal that is closed (SIGHUP, under nohup too) finish the step and save it; a second Ctrl-C stops at once.`;

const stoppedExitCode = 130;

/** What a command needs of its process; tests bring their own. */
export interface StartEnvironment {
  readonly services: RunServices;
  readonly output: Parameters<typeof openReporter>[0];
  readonly argv: readonly string[];
  openLifecycle(options?: {
    readonly handsOver?: boolean;
  }): Pick<Lifecycle, 'signal' | 'immediate' | 'close'> & { readonly handover?: AbortSignal };
  /** Called with the exit code when the command ends. */
  exit(code: number): void;
}

export function startCommand(environment: StartEnvironment): Command {
  const command = new Command('start')
    .description(
      'Trains an image classifier: indexes the images, starts the workers, and follows them to the end.',
    )
    .addHelpText('after', examples)
    .action(async () => environment.exit(await start(gatherRaw(command), environment)));
  for (const option of startOptions()) command.addOption(option);
  return command;
}

/**
 * Runs `coordinator start` to its end and returns the exit code. Throws the RondoError of a run that failed.
 */
export async function start(given: RawStart, environment: StartEnvironment): Promise<number> {
  const { output, argv } = environment;
  const raw = takeUp(withPlaceholder(given));
  const first = resolveStart(adoptArch(raw));
  const { runtime } = first;
  const lifecycle = environment.openLifecycle({ handsOver: runtime.supervised });
  const reporter = openReporter(output, { json: runtime.json }, environment.services.nowMs);
  const log = keepRunLog(environment.services.nowMs);
  let health: RunHealth | null = null;
  let pod: PodRun | null = null;
  const report = (event: RunEvent) => {
    reporter.report(event);
    log.hear(event);
    health?.hear(event);
    pod?.hear(event);
  };
  try {
    if (runtime.health !== null) {
      health = await openRunHealth(runtime.health, environment.services.nowMs);
      report({ kind: 'note', text: `serves ${healthPages} at http://${health.address}` });
    }
    let config = first;
    // Its workers may be gone, and the Job too.
    const finished = runtime.kubernetes && first.kind === 'resume' ? await findFinished(first) : null;
    if (runtime.kubernetes && finished === null) {
      pod = await openPodRun(environment.services, process.env, report);
      const { minWorkers = 1, maxWorkers = defaults.maxWorkers } = parseStart(raw);
      const wanted = await pod.workers(lifecycle.signal);
      const workers = Math.min(Math.max(wanted, minWorkers), maxWorkers);
      config = resolveStart(adoptArch({ ...raw, workers }));
    }
    const services = pod?.services ?? environment.services;
    const context = { services, report, signal: lifecycle.signal, command: argv };
    const prepared = finished ?? (await prepare(config, context));
    if (prepared.kind === 'finished') {
      tellFinished(prepared, programName(argv), report);
    } else {
      const { run } = prepared;
      const resume = resumeCommand(programName(argv), run.directory, run.runtime.runDir);
      const onControl = (control: RunControl) => health?.onControl(control);
      const scale = pod?.scale;
      const code = await train(run, {
        ...{ services, report, log, signals: lifecycle, resume, onControl },
        ...(scale === undefined ? {} : { scale }),
      });
      if (code !== 0) return code;
    }
    if (runtime.kubernetes) {
      await pod?.close();
      pod = null;
      lifecycle.close();
      await awaitEnd(environment, report);
    }
    return 0;
  } finally {
    await pod?.close();
    health?.close();
    reporter.close();
    lifecycle.close();
  }
}

/** In a pod the Job or StatefulSet says how many workers there are, once it can be asked. */
function withPlaceholder(raw: RawStart): RawStart {
  const { kubernetes = false, workers, minWorkers = 1 } = parseStart(raw);
  if (!kubernetes) return raw;
  if (workers !== undefined) {
    throw refused(
      '--workers is given with --kubernetes',
      'leave it out: the Job or StatefulSet says how many there are',
    );
  }
  return { ...raw, workers: minWorkers };
}

/** What a StatefulSet runs is started again whenever it ends: so this stays, and workers are sent away. */
async function awaitEnd(
  { openLifecycle }: StartEnvironment,
  report: (event: RunEvent) => void,
): Promise<void> {
  const { signal, close } = openLifecycle();
  await dismissPods(process.env, signal);
  report({ kind: 'note', text: 'nothing is left to do: staying until SIGTERM' });
  // Nothing else holds the process: probes are served as long as it is there.
  const staying = setInterval(() => {}, 2 ** 31 - 1);
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(staying);
  close();
}

function tellFinished(
  { summary, directory }: FinishedRun,
  program: string,
  report: (event: RunEvent) => void,
): void {
  const { runId, steps, earlyStopped } = summary;
  const how = earlyStopped ? `it stopped early, after ${steps} steps` : `all of its ${steps} steps are taken`;
  report({ kind: 'note', text: `run ${runId} is completed: ${how}` });
  if (summary.report === null) {
    const command = `${program} interpret ${shellWord(directory.path)}`;
    report({ kind: 'note', text: `it has no report: \`${command}\` writes one` });
  }
  report({ kind: 'summary', ...summary });
}

async function prepare(config: StartConfig, context: PrepareContext): Promise<Resumed> {
  if (config.kind === 'resume') return resumeRun(config, context);
  return { kind: 'ready', run: await prepareNewRun(config, context) };
}

async function train(run: PreparedRun, context: TrainContext): Promise<number> {
  context.report(describePrepared(run));
  const { summary, error } = await trainRun(run, context);
  if (error !== null) throw error;
  return summary.status === 'stopped' ? stoppedExitCode : 0;
}

/** How the person can call this program again: by its name when it is installed, else as `node FILE`. */
export function programName(argv: readonly string[] = process.argv): string {
  const script = argv[1] ?? '';
  if (basename(script) === 'coordinator') return 'coordinator';
  const near = relative(process.cwd(), script);
  return `node ${shellWord(near.startsWith('..') ? script : near)}`;
}
