import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { type RawStart, startOptionNames } from './start-schema.js';

/**
 * Options under their kebab-case names: those of the config file, then those of the command line over them.
 */
export function gatherRaw(command: Command): RawStart {
  const given = command.options
    .map((option) => [option.name(), command.getOptionValue(option.attributeName()) as unknown] as const)
    .filter(([, value]) => value !== undefined);
  const { config, ...line } = Object.fromEntries(given);
  return typeof config === 'string' ? { ...readConfigFile(config), ...line } : line;
}

/**
 * Options of `coordinator start` from a YAML file. Throws invalid-argument, with the nearest known name, for
 * a name that is none. Values are checked with those of the command line.
 */
export function readConfigFile(path: string): RawStart {
  const content = parseYaml(path, readText(path));
  if (content === null) return {};
  const options = z.record(z.string(), z.unknown()).safeParse(content);
  if (!options.success) {
    throw new RondoError('invalid-argument', `${path} does not hold options, one \`name: value\` per line`, {
      remedy: 'write it like\n  workers: 4\n  data: photos',
    });
  }
  for (const name of Object.keys(options.data)) {
    if (startOptionNames.includes(name)) continue;
    const nearest = nearestName(name, startOptionNames);
    throw new RondoError('invalid-argument', `${path}: there is no option "${name}"`, {
      remedy:
        nearest === null
          ? '`coordinator start --help` lists them; leave the dashes out'
          : `did you mean "${nearest}"?`,
    });
  }
  return options.data;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = RondoError.from(error);
    const what = code === 'not-found' ? `there is no file ${path}` : `cannot read ${path}: ${message}`;
    throw new RondoError(code, `--config: ${what}`, { cause: error, remedy: 'give --config another file' });
  }
}

function parseYaml(path: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new RondoError(
      'invalid-argument',
      `${path} is not YAML: ${(error as Error).message.split('\n')[0]}`,
      {
        cause: error,
        remedy: 'write one `name: value` per line, and quotes around what begins with a comma: lr: ",3e-3"',
      },
    );
  }
}
