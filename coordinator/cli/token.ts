import { Command, InvalidArgumentError, Option } from 'commander';
import { RondoError } from '../../runtime/errors.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import {
  defaultTokenMs,
  type JoinToken,
  makeToken,
  readIssued,
  readReach,
  readTokens,
  revokeToken,
  type TokenRole,
  tokensFolder,
  writeToken,
} from '../run-store/join-tokens.js';
import { findRunDirectory } from '../run-store/run-directory.js';
import { joinCommand, operatorCommand } from '../terminal/event-lines.js';
import { commandOnRun, runDirOption, wholeNumber } from './command-options.js';
import { hostAndPort } from './connect-run.js';
import type { StartEnvironment } from './start.js';

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestMs = 365 * unitsMs.d!;

type Environment = Pick<StartEnvironment, 'output' | 'exit'>;

interface Flags {
  readonly runDir: string;
  readonly json?: boolean;
}

interface CreateFlags extends Flags {
  readonly lifetime?: number;
  readonly uses?: number;
  readonly for: TokenRole;
  readonly coordinator?: string;
}

export function tokenCommand(environment: Environment): Command {
  const command = new Command('token')
    .description(
      'The tokens with which workers join a run, and operators ask it, from other machines: makes, lists and revokes them.',
    )
    .addHelpText(
      'after',
      `
A worker's token buys it a certificate, which is renewed for as long as the worker takes part; the token is needed no more then.
An operator's token is shown with each call of \`status\`, \`logs\` and \`scale\`, and is good for nothing else: nobody joins with it,
and nobody asks with a worker's.
\`coordinator start --listen\` makes a worker's by itself, good for a day. A running coordinator takes notice of what is changed here.`,
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
    .addOption(
      new Option(
        '--for <WHO>',
        "worker: to join the run; operator: to ask it by `status`, `logs` and `scale`, as from a person's own machine",
      )
        .choices(['worker', 'operator'] satisfies TokenRole[])
        .default('worker' satisfies TokenRole),
    )
    .option(
      '--coordinator <HOST:PORT>',
      'the address for the printed line, where the coordinator is reached by another than it knows, such as the near end of a tunnel',
      hostAndPort,
    )
    .option('--json', 'one JSON object')
    .action(async (run: string, flags: CreateFlags) => {
      const { identity } = findRunDirectory(run, flags.runDir);
      const { for: role, uses = null } = flags;
      const reach = readReach(identity);
      checkRole(role, uses, reach.joins);
      const { hash } = reach;
      const address = flags.coordinator ?? reach.address;
      const { token, record } = makeToken({ lifetimeMs: flags.lifetime ?? defaultTokenMs, uses, role });
      await writeToken(tokensFolder(identity), record);
      const { id, expiresAtMs } = record;
      writeLines(output, [
        flags.json
          ? printableJson({
              id,
              token,
              for: role,
              address,
              hash,
              expires: new Date(expiresAtMs).toISOString(),
            })
          : role === 'operator'
            ? operatorCommand(address, { token, hash })
            : joinCommand(address, { token, hash }),
      ]);
      exit(0);
    });
}

function checkRole(role: TokenRole, uses: number | null, joins: boolean): void {
  if (role === 'operator') {
    if (uses === null) return;
    throw new RondoError(
      'invalid-argument',
      "--uses counts workers that join, and nobody joins with an operator's token",
      {
        remedy: 'leave it out; --lifetime says how long the token is good',
      },
    );
  }
  if (joins) return;
  throw new RondoError(
    'failed-precondition',
    'this run takes certificates of its own authority, and no tokens of workers',
    {
      remedy: 'join with --tls-ca, --tls-cert and --tls-key',
    },
  );
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
          for: token.role,
          state: stateOf(token, bought.length),
          used: bought.length,
          uses: token.uses,
          expires: new Date(token.expiresAtMs).toISOString(),
          workers: [...new Set(bought.map(({ workerId }) => workerId))],
        };
      });
      const line = (cells: readonly string[]) =>
        [
          ...[cells[0]!.padEnd(6), cells[1]!.padEnd(8), cells[2]!.padEnd(8), cells[3]!.padEnd(9)],
          ...[cells[4]!.padEnd(24), cells[5]],
        ]
          .join('  ')
          .trimEnd();
      const table = rows.map(({ id, for: role, state, used, uses, expires, workers }) => {
        const usage = role === 'operator' ? '–' : `${used}/${uses ?? '∞'}`;
        return line([id, role, state, usage, expires, workers.join(', ')]);
      });
      const lines = json
        ? rows.map((row) => printableJson(row))
        : [line(['token', 'for', 'state', 'used', 'expires', 'workers']), ...table];
      writeLines(output, lines);
      exit(0);
    });
}

function revokeCommand({ output, exit }: Environment): Command {
  return commandOnRun(
    'revoke',
    'Nobody joins or asks with the token any more, and the workers that joined with it must go.',
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
