import { expect, test } from 'vitest';
import { runParity } from '../../../bench/parity/command.js';
import type { Measured } from '../../../bench/parity/compare.js';
import type { Reference } from '../../../bench/parity/reference.js';
import { agreeing, parityFile } from '../../support/parity-files.js';

async function run(args: string[], measure: (reference: Reference) => Measured = agreeing) {
  const printed: string[] = [];
  const met = await runParity(args, { measure, print: (text) => printed.push(text) });
  return { met, printed };
}

test('prints a table for each file, with every kind, its worst deviation and its bound', async () => {
  const { met, printed } = await run([parityFile('resnet18'), parityFile('resnet34')]);
  expect(met).toBe(true);
  expect(printed).toHaveLength(2);
  expect(printed[1]).toContain('resnet34, 96 px, batch 8');
  expect(printed[0]).toMatch(/gradient norm, relative +ok +0 +2\.0e-3/);
});

test('says which bound is missed, and where', async () => {
  const { met, printed } = await run([parityFile('resnet18')], (reference) => {
    const measured = agreeing(reference);
    return { ...measured, trace: measured.trace.map((step) => ({ ...step, loss: step.loss * 1.01 })) };
  });
  expect(met).toBe(false);
  expect(printed[0]).toMatch(/trace losses, relative +MISSED +1\.0e-2 +1\.0e-3 +step \d/);
});

test('prints one JSON array for machines', async () => {
  const { met, printed } = await run(['--json', parityFile('resnet18')]);
  expect(met).toBe(true);
  const [result] = JSON.parse(printed.join('')) as { met: boolean; arch: string; deviations: unknown[] }[];
  expect(result).toMatchObject({ met: true, arch: 'resnet18' });
  expect(result!.deviations).toContainEqual(
    expect.objectContaining({ kind: 'momentum', bound: 1e-9, worst: 0 }),
  );
});

test.each([
  [[], 'No file was given.'],
  [['--fast', 'x.json'], '--fast'],
])('wrong arguments %j are refused with the usage', async (args, message) => {
  await expect(run(args)).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining(message),
    remedy: expect.stringContaining('npm run parity'),
  });
});

test('a wrong file among right ones is refused before anything is measured', async () => {
  let measured = 0;
  const attempt = run([parityFile('resnet18'), '/nowhere.json'], (reference) => {
    measured += 1;
    return agreeing(reference);
  });
  await expect(attempt).rejects.toMatchObject({ code: 'not-found' });
  expect(measured).toBe(0);
});
