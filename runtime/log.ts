import { type Logger, pino } from 'pino';
import { RondoError } from './errors.js';
import { escapeUnprintable } from './printable.js';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
type Level = (typeof levels)[number];
export type LoggedLevel = Exclude<Level, 'silent'>;

/** Variable of the environment that names the level from which on events are logged. */
export const logVariable = 'RONDO_LOG';

let logger: Logger = pino({ level: 'silent' });
let fields: Readonly<Record<string, unknown>> = {};

/**
 * Begins this process's structured log: one JSON object a line on standard error, with time, level, program,
 * process, `event`, and what `addLogFields` said. RONDO_LOG sets the level; without it nothing is logged.
 *
 * @throws RondoError invalid-argument when RONDO_LOG names no level.
 */
export function openLog(o: {
  program: string;
  environment?: NodeJS.ProcessEnv;
  write?(text: string): void;
}): void {
  const { program, environment = process.env, write = (text) => void process.stderr.write(text) } = o;
  fields = {};
  logger = pino(
    {
      level: parseLevel(environment[logVariable]),
      base: { program, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => ({ ...fields }),
    },
    { write: (text) => write(`${escapeUnprintable(text.trimEnd())}\n`) },
  );
}

/** What every line of this process says from now on, such as its run, worker and rank. */
export function addLogFields(more: Readonly<Record<string, unknown>>): void {
  fields = { ...fields, ...more };
}

export function isLogged(level: LoggedLevel): boolean {
  return logger.isLevelEnabled(level);
}

export function log(
  level: LoggedLevel,
  event: string,
  details: Readonly<Record<string, unknown>> = {},
): void {
  logger[level]({ event, ...details });
}

function parseLevel(value: string | undefined): Level {
  if (value === undefined || value === '') return 'silent';
  const found = levels.find((level) => level === value.toLowerCase());
  if (found !== undefined) return found;
  throw new RondoError('invalid-argument', `${logVariable} is "${value}", which is not a log level`, {
    remedy: `set it to one of ${levels.join(', ')}`,
  });
}
