import { join } from 'node:path';
import { Command } from 'commander';
import { RondoError } from '../../runtime/errors.js';
import { largest } from '../../runtime/extremes.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { isLocked, listRunNames, readRunRecord, runDirectoryAt } from '../run-store/run-directory.js';
import { readSummary } from '../run-store/summary.js';
import { runDirOption } from './command-options.js';
import type { VerifyEnvironment } from './verify-run.js';

interface RunRow {
  readonly run: string;
  /**
   * `interrupted`: its coordinator ended without writing a summary. `unreadable`: its files are damaged, or a
   * newer Rondo's.
   */
  readonly status: 'running' | 'completed' | 'stopped' | 'failed' | 'interrupted' | 'unreadable';
  readonly arch: string | null;
  readonly steps: number | null;
  readonly errorRate: number | null;
  /** Why it is unreadable. */
  readonly reason?: string;
}

export function runsCommand({ output, exit }: VerifyEnvironment): Command {
  return new Command('runs')
    .description('Lists the runs of a folder, oldest name first.')
    .addOption(runDirOption())
    .option('--json', 'one JSON object per line')
    .action(async ({ runDir, json }: { runDir: string; json?: boolean }) => {
      const rows = await Promise.all(listRunNames(runDir).map((name) => readRow(runDir, name)));
      const lines = json ? rows.map((row) => printableJson(row)) : renderRows(rows, runDir);
      writeLines(output, lines);
      exit(0);
    });
}

async function readRow(runDir: string, run: string): Promise<RunRow> {
  const directory = runDirectoryAt(join(runDir, run));
  try {
    const { training } = readRunRecord(directory);
    const summary = await readSummary(directory);
    return {
      run,
      status: isLocked(directory.path) ? 'running' : (summary?.status ?? 'interrupted'),
      arch: training.arch,
      steps: summary?.steps ?? null,
      errorRate: summary?.epochs.at(-1)?.error_rate ?? null,
    };
  } catch (thrown) {
    const reason = RondoError.from(thrown).message;
    return { run, status: 'unreadable', arch: null, steps: null, errorRate: null, reason };
  }
}

function renderRows(rows: readonly RunRow[], runDir: string): string[] {
  if (rows.length === 0) return [`no runs in ${runDir}`];
  const width = largest(
    rows.map(({ run }) => run.length),
    3,
  );
  const line = (cells: readonly [string, string, string, string, string]) =>
    [cells[0].padEnd(width), cells[1].padEnd(11), cells[2].padEnd(9), cells[3].padStart(6), cells[4]].join(
      '  ',
    );
  return [
    line(['run', 'status', 'arch', 'steps', 'error_rate']),
    ...rows.map(({ run, status, arch, steps, errorRate }) =>
      line([run, status, arch ?? '–', String(steps ?? '–'), errorRate?.toFixed(6) ?? '–']),
    ),
    ...rows.flatMap(({ reason }) => (reason === undefined ? [] : [`unreadable: ${reason}`])),
  ];
}
