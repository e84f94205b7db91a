import { Command, InvalidArgumentError, Option } from 'commander';
import { dashed, describeOption } from '../options/option.js';
import { defaults } from '../options/run-options.js';
import { optionGroups, type StartTable } from '../options/start-schema.js';

/** The options of `start`: `--config`, and every option of a config file. */
export function startOptions(): Option[] {
  const config = new Option('--config <FILE>', 'YAML file with these names; the command line wins over it');
  const groups = Object.entries(optionGroups);
  return [
    ...groups.flatMap(([group, options]) =>
      Object.entries(options).map(([name, { value, ...option }]) => {
        const flags = value === undefined ? `--${dashed(name)}` : `--${dashed(name)} <${value}>`;
        return new Option(flags, describeOption(option)).helpGroup(group);
      }),
    ),
    config.helpGroup(groups.at(-1)![0]),
  ];
}

/** Some of the options of `start`, for another command. */
export function pickStartOptions(names: readonly (keyof StartTable)[]): Option[] {
  const wanted = names.map(dashed);
  return startOptions().filter((option) => wanted.includes(option.name()));
}

/** Reads the value of an option that is a whole number. */
export function wholeNumber(from: number, to: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };
}

/** Reads the value of an option that is a number above 0. */
export function positiveNumber(value: string): number {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (number > 0 && number <= 1e6) return number;
  throw new InvalidArgumentError('It must be a number above 0 and up to 1e6.');
}

/** A command about a run that is there. */
export function commandOnRun(name: string, description: string): Command {
  return new Command(name).description(description).argument('<RUN>', 'name or folder of the run');
}

export function runDirOption(): Option {
  return new Option('--run-dir <DIR>', 'folder that holds the runs').default(defaults.runDir);
}

export function checkpointOption(): Option {
  const which = 'which of the checkpoints (default: the best by error rate, else the newest)';
  return new Option('--checkpoint <NAME>', which);
}

export function ttaOption(): Option {
  return new Option(
    '--tta',
    'with test-time augmentation, as in fastai: nine views of each image are classified, which takes nine times as ' +
      'long and is often a little more accurate',
  );
}

export function movedDataOption(): Option {
  return new Option(
    '--data <DIR|URL>',
    'where the images of the run are now, if they have moved: the folder, or a pack of it',
  );
}

export function movedValidOption(): Option {
  return new Option(
    '--valid <DIR>',
    'where its images to validate on are now, if they have a folder of their own that has moved',
  );
}

const units: Readonly<Record<string, number>> = {
  ...{ kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
};

/** Reads an option's value, such as 256MiB, as bytes. */
export function byteSize(from: number, to: number): (value: string) => number {
  return (value) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(value) ?? [];
    const bytes = Math.floor(Number(number) * (units[unit ?? ''] ?? Number.NaN));
    if (bytes >= from && bytes <= to) return bytes;
    throw new InvalidArgumentError(
      `It must be a size from ${formatBytes(from)} to ${formatBytes(to)}, such as 256MiB or 1GB.`,
    );
  };
}

/** In the largest binary unit that makes it a whole number: 268435456 is 256MiB. */
export function formatBytes(bytes: number): string {
  const unit = ['TiB', 'GiB', 'MiB', 'KiB'].find((name) => bytes % units[name]! === 0);
  return unit === undefined || bytes === 0 ? `${bytes} bytes` : `${bytes / units[unit]!}${unit}`;
}
