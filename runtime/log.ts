import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { RondoError } from './errors.js';

export type { Logger } from 'pino';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
type Level = (typeof levels)[number];

/**
 * A structured log: one JSON object per line, to `file` (appended, its folder is made) or to stderr.
 * RONDO_LOG sets the level, `level` is what holds without it. Lines are written at once, so the last one
 * before a crash is there.
 *
 * @throws RondoError invalid-argument when RONDO_LOG names no level.
 */
export function openLog(options: {
  program: string;
  file?: string;
  level?: Level;
  environment?: NodeJS.ProcessEnv;
}): Logger {
  const level = parseLevel((options.environment ?? process.env).RONDO_LOG, options.level ?? 'info');
  if (options.file !== undefined) mkdirSync(dirname(options.file), { recursive: true });
  return pino(
    {
      level,
      base: { program: options.program, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ dest: options.file ?? 2, sync: true }),
  );
}

function parseLevel(value: string | undefined, otherwise: Level): Level {
  if (value === undefined || value === '') return otherwise;
  const found = levels.find((level) => level === value.toLowerCase());
  if (found !== undefined) return found;
  throw new RondoError('invalid-argument', `RONDO_LOG is "${value}", which is not a log level`, {
    remedy: `set it to one of ${levels.join(', ')}`,
  });
}
