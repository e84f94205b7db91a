import { Option } from 'commander';
import { dashed, describeOption } from '../options/option.js';
import { optionGroups, type StartTable } from '../options/start-schema.js';

/** `--config` and every option of a config file. */
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

/** Some of them, for another command. */
export function pickStartOptions(names: readonly (keyof StartTable)[]): Option[] {
  const wanted = names.map(dashed);
  return startOptions().filter((option) => wanted.includes(option.name()));
}

export const startExamples = `
Examples:
  coordinator start --workers 4
      train on the sample set with four workers on this machine
  coordinator start --workers 2 --data photos --epochs 10 --name first-try
      photos/cat/*.jpg, photos/dog/*.jpg …
  coordinator start --data pets --pretrained imagenet --freeze-epochs 4 --epochs 2 --lr ,3e-3 --unfreeze-lr 1e-6,1e-4
      fine-tune: the head first, then all layers at rates that rise from early to late ones
  coordinator start --data pets --from runs/first-try/checkpoints/stage-1 --freeze-epochs 0 --epochs 2 --lr 1e-6,1e-4
      a new run from where another one's frozen epochs ended
  coordinator start --resume first-try --workers 4
      go on where a run was stopped

What is computed or fetched once is kept in RONDO_CACHE (else rondo in XDG_CACHE_HOME or ~/.cache): fetched and drawn data sets, weights,
what is known of images, and in pixels/ the images that workers decoded, up to --cache-gib. It may be removed at any time.

Ctrl-C, SIGTERM or a terminal that is closed (SIGHUP, under nohup too) finish the step and save it; a second Ctrl-C stops at once.`;
