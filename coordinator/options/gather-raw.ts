import type { Command } from 'commander';
import { readConfigFile } from './config-file.js';
import type { RawStart } from './start-schema.js';

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
