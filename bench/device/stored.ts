import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { peerScript } from '../support/peer-script.js';
import { type CaseFigures, caseSchema } from './figures.js';

const storedSchema = z.object({ arch: z.string(), classes: z.int(), size: z.int(), figures: caseSchema });

/** The network whose results are stored. */
export const storedNetwork = { arch: 'resnet34', classes: 37, size: 224 } as const;

const place = () => peerScript('device', 'stored-case.json');

/** What a CPU computed in float64. @throws RondoError when it is not there, or not of this network. */
export function readStored(): CaseFigures {
  const file = place();
  const parsed = storedSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  const { arch, classes, size } = storedNetwork;
  if (
    parsed.success &&
    parsed.data.arch === arch &&
    parsed.data.classes === classes &&
    parsed.data.size === size
  ) {
    return parsed.data.figures;
  }
  throw new RondoError('failed-precondition', `${file} does not hold the case's results.`, {
    remedy: 'Make it anew on a CPU: npm run bench -- device --store FILE',
  });
}

/** Numbers are rounded to what comparing them needs. */
export function writeStored(file: string, figures: CaseFigures): void {
  const text = JSON.stringify({ ...storedNetwork, figures }, (_, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(7)) : value,
  );
  writeFileSync(file, `${text.replaceAll(/(\]\}),/g, '$1,\n')}\n`);
}
