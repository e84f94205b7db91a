import { Command, InvalidArgumentError } from 'commander';
import { printableJson, writeLines } from '../../runtime/printable.js';
import {
  defaultTokenMs,
  type JoinToken,
  makeToken,
  readIssued,
  readReach,
  readTokens,
  revokeToken,
  tokensFolder,
  writeToken,
} from '../run-store/join-tokens.js';
import { findRunDirectory } from '../run-store/run-directory.js';
import { joinCommand } from '../terminal/event-lines.js';
import { commandOnRun, runDirOption, wholeNumber } from './command-options.js';
import type { StartEnvironment } from './start.js';

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestMs = 365 * unitsMs.d!;

type Environment = Pick<StartEnvironment, 'output' | 'exit'>;

interface Flags {
  readonly runDir: string;
  readonly json?: boolean;
}

export function tokenCommand(environment: Environment): Command {
  const command = new Command('token')
    .description('The tokens that workers on other machines join a run with: makes, lists and revokes them.')
    .addHelpText(
      'after',
      `
A token buys its worker a certificate, which is renewed for as long as the worker takes part; the token is needed no more then.
\`coordinator start --listen\` makes one by itself, good for a day. A running coordinator takes notice of what is changed here.`,
    );
  command.addCommand(createCommand(environment));
  command.addCommand(listCommand(environment));
  command.addCommand(revokeCommand(environment));
  return command;
}

function createCommand({ output, exit }: Environment): Command {
  return commandOnRun('create', 'Makes a token, and prints the line to paste on the other machines.')
    .addOption(runDirOption())
    .option(
      '--lifetime <TIME>',
      'how long it can be used: minutes, hours or days, as 30m, 24h or 7d (default: 24h)',
      lifetime,
    )
    .option('--uses <N>', 'how many workers may join with it (default: any number)', wholeNumber(1, 1024))
    .option('--json', 'one JSON object')
    .action(async (run: string, flags: Flags & { lifetime?: number; uses?: number }) => {
      const { identity } = findRunDirectory(run, flags.runDir);
      const { address, hash } = readReach(identity);
      const { token, record } = makeToken({
        lifetimeMs: flags.lifetime ?? defaultTokenMs,
        uses: flags.uses ?? null,
      });
      await writeToken(tokensFolder(identity), record);
      const { id, expiresAtMs } = record;
      writeLines(output, [
        flags.json
          ? printableJson({ id, token, address, hash, expires: new Date(expiresAtMs).toISOString() })
          : joinCommand(address, { token, hash }),
      ]);
      exit(0);
    });
}

function listCommand({ output, exit }: Environment): Command {
  return commandOnRun('list', "Lists a run's tokens, oldest first: never the tokens themselves.")
    .addOption(runDirOption())
    .option('--json', 'one JSON object per line')
    .action(async (run: string, { runDir, json }: Flags) => {
      const { identity } = findRunDirectory(run, runDir);
      const issued = await readIssued(identity);
      const rows = readTokens(tokensFolder(identity)).map((token) => {
        const bought = issued.filter(({ tokenId, bought }) => bought && tokenId === token.id);
        return {
          id: token.id,
          state: stateOf(token, bought.length),
          used: bought.length,
          uses: token.uses,
          expires: new Date(token.expiresAtMs).toISOString(),
          workers: [...new Set(bought.map(({ workerId }) => workerId))],
        };
      });
      const line = (cells: readonly string[]) =>
        [cells[0]!.padEnd(6), cells[1]!.padEnd(8), cells[2]!.padEnd(9), cells[3]!.padEnd(24), cells[4]]
          .join('  ')
          .trimEnd();
      const table = rows.map(({ id, state, used, uses, expires, workers }) =>
        line([id, state, `${used}/${uses ?? '∞'}`, expires, workers.join(', ')]),
      );
      const lines = json
        ? rows.map((row) => printableJson(row))
        : [line(['token', 'state', 'used', 'expires', 'workers']), ...table];
      writeLines(output, lines);
      exit(0);
    });
}

function revokeCommand({ output, exit }: Environment): Command {
  return commandOnRun(
    'revoke',
    'Nobody joins with the token any more, and the workers that joined with it must go.',
  )
    .argument('<TOKEN>', 'its first six characters, or all of it')
    .addOption(runDirOption())
    .action(async (run: string, token: string, { runDir }: Flags) => {
      const { identity } = findRunDirectory(run, runDir);
      const { id } = await revokeToken(tokensFolder(identity), token);
      writeLines(output, [`token ${id} is revoked`]);
      exit(0);
    });
}

function stateOf({ revokedAtMs, expiresAtMs, uses }: JoinToken, used: number): string {
  if (revokedAtMs !== null) return 'revoked';
  if (expiresAtMs <= Date.now()) return 'expired';
  return uses !== null && used >= uses ? 'used up' : 'valid';
}

function lifetime(value: string): number {
  const [, number, unit] = /^(\d{1,6})([mhd])$/.exec(value) ?? [];
  const lifetimeMs = Number(number) * (unitsMs[unit ?? ''] ?? Number.NaN);
  if (lifetimeMs > 0 && lifetimeMs <= longestMs) return lifetimeMs;
  throw new InvalidArgumentError('It must be a time up to 365d, such as 30m, 24h or 7d.');
}
