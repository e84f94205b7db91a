import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseReference, type Reference, readReference } from '../../../bench/parity/reference.js';
import { parityFile } from '../../support/parity-files.js';

const text = readFileSync(parityFile('resnet18'), 'utf8');

test('reads a file that make_parity.py wrote', async () => {
  const reference = await readReference(parityFile('resnet18'));
  expect(reference).toMatchObject({
    arch: 'resnet18',
    classes: 37,
    size: 64,
    batch: 16,
    parameters: 11723365,
  });
});

test('a file that is not there is not found', async () => {
  await expect(readReference('/nowhere/x.json')).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('/nowhere/x.json'),
  });
});

function altered(change: (reference: Record<keyof Reference, unknown>) => void): string {
  const reference = JSON.parse(text) as Record<keyof Reference, unknown>;
  change(reference);
  return JSON.stringify(reference);
}

test.each<[string, string, RegExp]>([
  ['no JSON', text.slice(0, 100), /x\.json is not JSON/],
  ['a list', '[]', /x\.json: .*expected object/],
  ['another architecture', altered((r) => Object.assign(r, { arch: 'vgg16' })), /arch/],
  ['a missing part', altered((r) => Reflect.deleteProperty(r, 'trace')), /trace/],
  ['no steps', altered((r) => Object.assign(r, { trace: [] })), /trace/],
  ['labels of another batch', altered((r) => Object.assign(r, { batch: 3 })), /labels are not one per image/],
  [
    'logits of other classes',
    altered((r) => Object.assign(r, { classes: 3 })),
    /eval_logits are not batch × classes/,
  ],
])('%s is refused with what is wrong', (_what, wrong, message) => {
  const parse = () => parseReference(wrong, 'x.json');
  expect(parse).toThrow(message);
  expect(parse).toThrow(
    expect.objectContaining({ code: 'invalid-argument', remedy: expect.stringContaining('make_parity.py') }),
  );
});
