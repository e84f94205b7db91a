import { Command, InvalidArgumentError, Option } from 'commander';
import { RondoError } from '../../runtime/errors.js';
import { authorityHashVariable, tokenVariable } from '../../runtime/grpc/credentials.js';
import { findAuthority } from '../../runtime/grpc/find-authority.js';
import { type ProofFlags, readHashes, readToken } from '../../runtime/grpc/proof-flags.js';
import { parseHostPort } from '../../runtime/host-port.js';
import { type ControlConnection, connectControl, connectOperator } from '../cluster/control.js';
import { dashed } from '../options/option.js';
import { readControlFile } from '../run-store/control-file.js';
import { isToken } from '../run-store/join-tokens.js';
import { findRunDirectory } from '../run-store/run-directory.js';
import { runDirOption } from './command-options.js';
import type { StartEnvironment } from './start.js';

/** Of the commands that ask a run which goes on. */
export type AskEnvironment = Pick<StartEnvironment, 'output' | 'openLifecycle' | 'exit'>;

/** The coordinator answers at once, unless its machine is overloaded. */
const answerMs = 10_000;

export interface AskFlags extends ProofFlags {
  readonly runDir: string;
  readonly coordinator?: string;
}

/** A command that asks a run which goes on, on its coordinator's machine or on another. */
export function commandOnActiveRun(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('[RUN]', 'name or folder of the run; with --coordinator its name, or nothing');
}

/** Adds how such a command finds its run. */
export function addAskOptions(command: Command): Command {
  const elsewhere = [
    new Option(
      '--coordinator <HOST:PORT>',
      'where the coordinator is reached from this machine: its --listen address, or the near end of a tunnel to it',
    ).argParser(hostAndPort),
    new Option(
      '--token <ID.SECRET>',
      "an operator's token: `coordinator token create RUN --for operator` makes one and prints the whole line",
    ),
    new Option('--token-file <FILE>', `the file that holds it; or ${tokenVariable} in the environment`),
    new Option(
      '--ca-hash <SHA256>',
      `hash of the key of the run's certificate authority, sha256:…: the token goes to nobody else; or ${authorityHashVariable} in the environment`,
    ).argParser((value: string, before: string[] = []) => [...before, value]),
    new Option('--ca-file <FILE>', 'the certificate of that authority (PEM), in place of --ca-hash'),
  ];
  command.addOption(runDirOption());
  for (const option of elsewhere) command.addOption(option.helpGroup('From another machine:'));
  return command;
}

export function hostAndPort(value: string): string {
  try {
    parseHostPort(value);
  } catch (thrown) {
    throw new InvalidArgumentError(`${RondoError.from(thrown).message}.`);
  }
  return value;
}

/** Has `ask` ask the coordinator, and exits with 0. Rejects as `connectRun` and `ask` do. */
export async function askRun(
  run: string | undefined,
  flags: AskFlags,
  { openLifecycle, exit }: AskEnvironment,
  ask: (connection: ControlConnection, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const connection = await connectRun(run, flags);
  const { signal, close } = openLifecycle();
  try {
    await ask(connection, signal);
    exit(0);
  } finally {
    connection.close();
    close();
  }
}

/**
 * Connects to the coordinator of a run that goes on.
 *
 * @throws RondoError failed-precondition when it does not; unauthenticated when who answers elsewhere is not the
 *   coordinator that the hash names (the token is not sent then), or does not take the token; invalid-argument for flags
 *   that do not go together.
 */
export async function connectRun(
  run: string | undefined,
  flags: AskFlags,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ControlConnection> {
  if (flags.coordinator !== undefined) return connectElsewhere(run, flags.coordinator, flags, environment);
  const stray = (['token', 'tokenFile', 'caHash', 'caFile'] as const).find(
    (name) => flags[name] !== undefined,
  );
  if (stray !== undefined) {
    throw new RondoError('invalid-argument', `--${dashed(stray)} is given without --coordinator`, {
      remedy: 'say by --coordinator HOST:PORT where the coordinator is reached from here',
    });
  }
  if (run === undefined) {
    throw new RondoError('invalid-argument', 'no run is named', {
      remedy:
        '`coordinator runs` lists those of this machine; one of another machine is asked with --coordinator HOST:PORT, --token and --ca-hash',
    });
  }
  return connectControl(readControlFile(findRunDirectory(run, flags.runDir)), answerMs);
}

async function connectElsewhere(
  run: string | undefined,
  coordinator: string,
  flags: AskFlags,
  environment: NodeJS.ProcessEnv,
): Promise<ControlConnection> {
  const hashes = readHashes(flags, environment[authorityHashVariable]);
  const token = readToken(flags, environment[tokenVariable], 'name a file that this user can read');
  const remedy =
    'where the coordinator runs, `coordinator token create RUN --for operator` prints the whole line';
  if (token === null) throw new RondoError('unauthenticated', 'no token was given', { remedy });
  if (!isToken(token))
    throw new RondoError('unauthenticated', 'the token is not of the form ID.SECRET', { remedy });
  if (hashes.length === 0) {
    throw new RondoError(
      'invalid-argument',
      'no --ca-hash is given: the token is sent to nobody whom it does not name',
      {
        remedy,
      },
    );
  }
  const { authority } = await findAuthority(coordinator, hashes).catch((thrown: unknown) => {
    const { code, message, remedy: other } = RondoError.from(thrown);
    const reachable =
      'check the address, and that the run goes on; its coordinator must listen for other machines (--listen), with certificates';
    throw new RondoError(code, message, {
      remedy: code === 'unavailable' ? reachable : other,
      cause: thrown,
    });
  });
  const connection = connectOperator(coordinator, { authority, token }, answerMs);
  try {
    if (run !== undefined) requireRun(run, (await connection.status()).runId, coordinator);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function requireRun(asked: string, found: string, coordinator: string): void {
  if (asked === found) return;
  throw new RondoError('not-found', `the run at ${coordinator} is ${found}, not ${asked}`, {
    remedy: 'leave the name out, or ask the coordinator of that run',
  });
}
