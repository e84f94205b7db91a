import type { IndexHeader, SampleColumns } from '../dataset/shard-index.js';
import { indexName } from '../dataset/shard-index.js';
import { defaultQuality } from './encode-image.js';

/** README.md of a pack: what is in it, how it was made, how to read it. */
export function writeCard(header: IndexHeader, columns: SampleColumns): string {
  const sets = listSets(header);
  const images = sets.reduce((sum, { samples }) => sum + samples, 0);
  return [
    '# Packed images',
    '',
    `${images} images of ${header.classes.length} classes, packed by \`coordinator pack\` of Rondo.`,
    '',
    '| files | images | bytes |',
    '|---|---:|---:|',
    ...sets.map(({ pattern, samples, bytes }) => `| \`${pattern}\` | ${samples} | ${bytes} |`),
    '',
    describeValidation(header),
    '',
    '## How it was made',
    '',
    '| | |',
    '|---|---|',
    ...describePlan(header).map(([name, value]) => `| ${name} | ${value} |`),
    '',
    '## Format',
    '',
    'Tar files as WebDataset reads them: of each sample the image, and beside it, under the same name, `.cls`: the',
    `number of its class. \`${indexName}\` says of every sample where it is, its label, size and SHA-256, and what its`,
    'file was called.',
    '',
    '```python',
    'import webdataset as wds',
    '',
    `data = wds.WebDataset("${sets[0]!.pattern}", shardshuffle=100).shuffle(1000)`,
    `data = data.decode("pil").to_tuple("jpg;png;webp;gif;tif;avif", "cls")`,
    '```',
    '',
    '## Classes',
    '',
    `| number | class | ${sets.map(({ set }) => set ?? 'images').join(' | ')} |`,
    `|---:|---|${sets.map(() => '---:|').join('')}`,
    ...countClasses(header, columns).map(
      (counts, label) => `| ${label} | ${escapeCell(header.classes[label]!)} | ${counts.join(' | ')} |`,
    ),
    '',
  ].join('\n');
}

interface PackedSet {
  readonly set: 'train' | 'valid' | null;
  /** Names of its shards, in the form that WebDataset expands. */
  readonly pattern: string;
  readonly samples: number;
  readonly bytes: number;
}

function listSets({ shards }: IndexHeader): PackedSet[] {
  const sets = [...new Set(shards.map(({ set }) => set))];
  return sets.map((set) => {
    const own = shards.filter((shard) => shard.set === set);
    const [first, last] = [own[0]!.name, own.at(-1)!.name];
    const [, stem, from] = /^(.*-)(\d+)\.tar$/.exec(first)!;
    const [, , to] = /^(.*-)(\d+)\.tar$/.exec(last)!;
    return {
      set,
      pattern: first === last ? first : `${stem}{${from}..${to}}.tar`,
      samples: own.reduce((sum, shard) => sum + shard.samples, 0),
      bytes: own.reduce((sum, shard) => sum + shard.bytes, 0),
    };
  });
}

function describeValidation({ validation }: IndexHeader): string {
  return validation === null
    ? 'Which images validate is not decided: what reads them divides them.'
    : 'The images of `valid` are those that the source gave to validate on.';
}

function describePlan({ plan }: IndexHeader): [string, string | number][] {
  const { resize, quality, encoder } = plan;
  const seeded = plan.seed === null ? '' : `, seed ${plan.seed}`;
  const written = `JPEG at quality ${quality ?? defaultQuality}, by ${encoder}`;
  const images =
    resize !== null
      ? `shrunk to ${resize} pixels along the short side where they had more, then ${written}`
      : quality !== null
        ? `encoded anew: ${written}`
        : 'as their files were, byte for byte';
  return [
    ['images', images],
    ['order', `${plan.order}${seeded}`],
    ['names', plan.keys === 'path' ? 'as the files' : 'numbers in the source'],
    ['shards', `up to ${plan['shard-size']} bytes`],
    ['source digest', `\`${plan.source}\``],
  ];
}

/** Of each class how many images each set has. */
function countClasses({ classes, shards }: IndexHeader, { label }: SampleColumns): number[][] {
  const sets = [...new Set(shards.map(({ set }) => set))];
  const counts = classes.map(() => sets.map(() => 0));
  let at = 0;
  for (const { set, samples } of shards) {
    const column = sets.indexOf(set);
    for (const end = at + samples; at < end; at += 1) counts[label[at]!]![column]! += 1;
  }
  return counts;
}

/** A name as one cell of a Markdown table that shows it as it is. */
function escapeCell(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]/gu, '\ufffd').replace(/[\\`*_{}[\]<>#|~!&]/g, '\\$&');
}
