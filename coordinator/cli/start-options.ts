import { Option } from 'commander';
import { defaultDiskCacheGib } from '../../runtime/installation.js';
import { defaults } from '../options/defaults.js';
import type { StartOptionName } from '../options/start-schema.js';
import { groups, type OptionText, trainingOptionTexts } from './training-option-texts.js';

/** Every option of `coordinator start`, in the order of its help. Values are checked by run/start-schema.ts. */
const texts: Readonly<Record<StartOptionName, OptionText>> = {
  ...trainingOptionTexts,
  workers: {
    group: groups.cluster,
    value: 'N',
    text: `workers that train together; their number changes the speed, not the result (default: ${defaults.workers})`,
  },
  'local-workers': {
    group: groups.cluster,
    value: 'N',
    text: 'how many of them to start on this machine; the others come by `worker join` (default: all)',
  },
  threads: {
    group: groups.cluster,
    value: 'N',
    text: 'threads of each worker on this machine (default: its cores, divided among them)',
  },
  listen: {
    group: groups.cluster,
    value: 'HOST:PORT',
    text: `where workers join; port 0 takes a free one (default: ${defaults.listen})`,
  },
  wire: {
    group: groups.cluster,
    value: 'TYPE',
    text: `what gradients travel as: float32 or bfloat16 (default: ${defaults.wire})`,
  },
  lanes: {
    group: groups.cluster,
    value: 'N',
    text: 'threads of each worker that carry gradients around a ring, 1 to 4 (default: 1, which on one machine needs no ring; more where machines have idle cores)',
  },
  nats: {
    group: groups.cluster,
    value: 'URL',
    text: 'NATS server with JetStream for metrics (default: one is started for the run); its token, or USER:PASSWORD, stands in the URL before the host, best in --config, or the token in RONDO_NATS_TOKEN',
  },
  'run-dir': {
    group: groups.run,
    value: 'DIR',
    text: `folder that holds the runs (default: ${defaults.runDir})`,
  },
  name: {
    group: groups.run,
    value: 'NAME',
    text: "the run's name (default: from the time and the architecture)",
  },
  resume: {
    group: groups.run,
    value: 'RUN',
    text: 'go on with a run, by name or folder, from its newest checkpoint; the recipe stays as it was (--data DIR when its images have moved)',
  },
  json: { group: groups.run, text: 'one JSON object per line on standard output, and nothing else' },
};

/** `--config` and every option of a config file. */
export function startOptions(): Option[] {
  const options = Object.entries(texts).map(([name, { group, value, text }]) =>
    new Option(value === undefined ? `--${name}` : `--${name} <${value}>`, text).helpGroup(group),
  );
  const config = new Option('--config <FILE>', 'YAML file with these names; the command line wins over it');
  return [...options, config.helpGroup(groups.run)];
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
what is known of images, and in pixels/ the images that workers decoded, up to RONDO_CACHE_GIB (default: ${defaultDiskCacheGib}; those used longest
ago are removed, 0 keeps none). It may be removed at any time.

Ctrl-C, SIGTERM or a terminal that is closed (SIGHUP, under nohup too) finish the step and save it; a second Ctrl-C stops at once.`;
