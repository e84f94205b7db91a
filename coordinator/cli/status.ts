import { setTimeout } from 'node:timers/promises';
import type { MemberStatus, RunStatus } from '../../proto/run-status.js';
import { printableJson, shellWord, writeLines } from '../../runtime/printable.js';
import { alignColumns, formatCount, noFigure } from '../terminal/figures.js';
import {
  type AskEnvironment,
  type AskFlags,
  addAskOptions,
  askRun,
  commandOnActiveRun,
} from './connect-run.js';

const watchMs = 1_000;

interface StatusFlags extends AskFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export function statusCommand(environment: AskEnvironment) {
  const command = commandOnActiveRun(
    'status',
    'Says how a run that goes on is doing: its workers, its generation, its speed, and who is slow and why.',
  )
    .option('--watch', 'say it again every second, until the run ends or Ctrl-C')
    .option('--json', 'one JSON object per line')
    .addHelpText(
      'after',
      `
own       what a worker's step takes without waiting for others: computing, and waiting for its images
waiting   for the other workers: who waits least is the one that the others wait for
cores     processor time over computing time; below that of the others when something else has its cores
A worker is slow when its own time per image is 1.25 times that of the others or more.

Examples:
  coordinator status pets
  coordinator status pets --json | jq '.members[] | select(.slow)'
  coordinator status --coordinator 10.0.0.1:7070 --token 3k9x2a.… --ca-hash sha256:…
      from another machine: \`coordinator token create pets --for operator\` prints this line`,
    )
    .action(async (run: string | undefined, { watch, json, ...flags }: StatusFlags) => {
      await askRun(run, flags, environment, async (connection, signal) => {
        const say = async () => {
          const status = await connection.status();
          const lines = json ? [printableJson({ kind: 'status', ...status })] : renderStatus(status);
          writeLines(environment.output, lines);
          return status;
        };
        let status = await say();
        while (watch && status.phase !== 'ended' && !signal.aborted) {
          await setTimeout(watchMs, undefined, { signal }).catch(() => {});
          if (!signal.aborted) status = await say();
        }
      });
    });
  return addAskOptions(command);
}

const phaseWords: Record<RunStatus['phase'], string> = {
  gathering: 'waiting for its workers',
  preparing: 'its workers prepare to go on',
  training: 'training',
  stopping: 'finishing a step',
  regrouping: 'its workers changed: they agree on where to go on',
  ended: 'ending',
};

export function renderStatus(status: RunStatus): string[] {
  const { runId, phase, steps, totalSteps, epoch, totalEpochs, attempt, members } = status;
  const { generation, worldSize, minWorkers, maxWorkers, stepsPerSecond, recoveries } = status;
  const again = attempt > 1 ? `, step ${steps} for the ${ordinal(attempt)} time` : '';
  const speed = stepsPerSecond === null ? '' : ` · ${stepsPerSecond.toPrecision(3)} steps/s`;
  const slow = members.flatMap(({ worker, slow: found }) =>
    found === null
      ? []
      : [`${worker} is slow, ${found.times.toFixed(1)} times the others' time per image: ${found.reason}`],
  );
  return [
    `run ${shellWord(runId)}: ${phaseWords[phase]} · ${steps} of ${formatCount(totalSteps, 'step')} taken (epoch ${epoch + 1} of ${totalEpochs})${again}`,
    `generation ${generation} · ${formatCount(worldSize, 'worker')} (${minWorkers} to ${maxWorkers})${speed} · ` +
      `went on ${formatCount(recoveries, 'time')} after a change`,
    ...renderMembers(members),
    ...slow,
  ];
}

function ordinal(count: number): string {
  return ({ 2: 'second', 3: 'third' } as Record<number, string>)[count] ?? `${count}th`;
}

interface Column {
  readonly title: string;
  readonly show: (member: MemberStatus) => string;
  /** Numbers stand below each other. */
  readonly right?: boolean;
}

const ms = (seconds: number | undefined) =>
  seconds === undefined ? noFigure : `${(1_000 * seconds).toFixed(0)} ms`;

const columns: readonly Column[] = [
  { title: 'worker', show: ({ worker }) => worker },
  { title: 'rank', show: ({ rank }) => String(rank ?? noFigure), right: true },
  { title: 'host', show: ({ host }) => host },
  { title: 'process', show: ({ pid }) => String(pid), right: true },
  { title: 'state', show: ({ state }) => state },
  { title: 'heard', show: ({ silentSeconds }) => `${silentSeconds.toFixed(1)} s ago`, right: true },
  { title: 'own', show: ({ step }) => ms(step?.own), right: true },
  { title: 'images', show: ({ step }) => ms(step?.data), right: true },
  { title: 'waiting', show: ({ step }) => ms(step?.wait), right: true },
  { title: 'cores', show: ({ step }) => (step === null ? noFigure : step.cores.toFixed(2)), right: true },
  { title: '', show: ({ slow }) => (slow === null ? '' : 'slow') },
];

function renderMembers(members: readonly MemberStatus[]): string[] {
  if (members.length === 0) return ['no worker is there'];
  const rows = [
    columns.map(({ title }) => title),
    ...members.map((each) => columns.map(({ show }) => show(each))),
  ];
  return alignColumns(rows, (index) => columns[index]!.right ?? false);
}
