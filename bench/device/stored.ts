import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';
import { peerScript } from '../support/peer-script.js';
import { type CaseFigures, caseSchema } from './figures.js';

/** The network whose results are stored. */
export const storedNetwork = { arch: 'resnet34', classes: 37, size: 224 } as const;

const storedSchema = z.object({
  arch: z.literal(storedNetwork.arch),
  classes: z.literal(storedNetwork.classes),
  size: z.literal(storedNetwork.size),
  figures: caseSchema,
});

const place = () => peerScript('device', 'stored-case.json');

/** What a CPU computed in float64. @throws RondoError when it is not there, or not of this network. */
export function readStored(): CaseFigures {
  const file = place();
  const remedy = 'make it anew on a CPU: npm run bench -- device --store FILE';
  return parseJson(storedSchema, readFileSync(file, 'utf8'), { name: file, remedy }).figures;
}

/** Numbers are rounded to what comparing them needs. */
export function writeStored(file: string, figures: CaseFigures): void {
  const text = JSON.stringify({ ...storedNetwork, figures }, (_, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(7)) : value,
  );
  writeFileSync(file, `${text.replaceAll(/(\]\}),/g, '$1,\n')}\n`);
}
