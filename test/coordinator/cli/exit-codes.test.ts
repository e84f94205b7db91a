import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { startOptions } from '../../../coordinator/cli/command-options.js';
import { buildProgram } from '../../../coordinator/cli/program.js';
import { gatherRaw } from '../../../coordinator/options/config-file.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import { parseStart, startOptionNames } from '../../../coordinator/options/start-schema.js';
import { type ErrorCode, exitCodesHelp, exitCodeTexts, RondoError } from '../../../runtime/errors.js';
import { isLoopback, parseHostPort } from '../../../runtime/host-port.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';

const output = memoryOutput();
const program = buildProgram({
  services: fakeRun().services,
  output,
  argv: [],
  openLifecycle: () => {
    throw new Error('nothing may start here');
  },
  exit: () => {},
});

/** What is printed for `coordinator NAME --help`. */
function helpOf(command: Command): string {
  const before = output.text().length;
  command.outputHelp();
  return output.text().slice(before);
}

describe('exit codes', () => {
  it.each(program.commands.map((command) => [command.name(), command] as const))(
    'are told by %s --help as by all others',
    (_, command) => {
      const help = helpOf(command);
      expect(help).toContain(exitCodesHelp);
      expect(help.match(/exit codes/gi)).toHaveLength(1);
    },
  );

  it('are told by the worker too', () => {
    const worker = new URL('../../../dist/worker/main.js', import.meta.url).pathname;
    expect(execFileSync(process.execPath, [worker, 'join', '--help']).toString()).toContain(exitCodesHelp);
  });

  it.each(['README.md', 'docs/operating.md'])('stand in %s as in --help', (file) => {
    const page = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
    const table = page.slice(page.indexOf('| exit code | |'));
    const rows = [...table.slice(0, table.indexOf('\n\n')).matchAll(/^\| (\d+) \| (.*) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, code, text]) => [code, text]))).toEqual(exitCodeTexts);
  });

  it.each<ErrorCode>([
    ...([
      'invalid-argument',
      'not-found',
      'failed-precondition',
      'unauthenticated',
      'permission-denied',
    ] as const),
    ...(['resource-exhausted', 'data-loss', 'aborted', 'unavailable', 'deadline-exceeded'] as const),
    ...(['cancelled', 'internal'] as const),
  ])('name that of %s', (code) => {
    expect(Object.keys(exitCodeTexts)).toContain(String(new RondoError(code, '').exitCode));
  });
});

const exampleLines = program.commands
  .flatMap((command) => helpOf(command).split('\n'))
  .filter((line) => /^ {2}coordinator (start|lr-find) /.test(line));

describe('what is suggested', () => {
  it.each(exampleLines.map((line) => line.trim()))('is accepted: %s', (line) => {
    const command = new Command().exitOverride();
    for (const option of startOptions()) command.addOption(option);
    command.parse(line.split(' ').slice(2), { from: 'user' });
    expect(() => resolveStart(gatherRaw(command))).not.toThrow();
  });

  it('by a refusal is accepted', () => {
    const refusals = startOptionNames.flatMap((name) => {
      try {
        parseStart({ [name]: {} });
        return [];
      } catch (error) {
        return [{ name, message: (error as Error).message }];
      }
    });
    expect(refusals.length).toBeGreaterThan(25);
    const suggested = refusals.flatMap(({ name, message }) => {
      const value = / such as ([^\s,()]+)/.exec(message)?.[1];
      return value === undefined ? [] : [[name, value] as const];
    });
    expect(suggested.map(([name]) => name)).toEqual(
      expect.arrayContaining(['listen', 'nats', 'valid-pct', 'ema', 'mixup']),
    );
    for (const [name, value] of suggested) expect(() => parseStart({ [name]: value })).not.toThrow();
    const { listen } = Object.fromEntries(suggested);
    // Both programs refuse to listen elsewhere.
    expect(isLoopback(parseHostPort(listen!).host)).toBe(true);
  });
});
