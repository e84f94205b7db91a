import { describe, expect, it } from 'vitest';
import { runConfigSchema } from '../../plan/run-config.js';
import { runConfig } from '../support/run-config.js';

describe('runConfigSchema', () => {
  it.each([
    ['train', runConfig()],
    ['evaluate', runConfig({ task: { kind: 'evaluate', tta: true } })],
    ['lr-find', runConfig({ task: { kind: 'lr-find', from: 1e-7, to: 10, steps: 100 } })],
    ['all that is optional', runConfig({ clipNorm: 1, emaDecay: 0.999, classWeights: [0.5, 2] })],
  ])('reads what was written as JSON: %s', (_, config) => {
    expect(runConfigSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it('gives the fields in one order, whoever wrote them, and freezes all of it', () => {
    const config = runConfig();
    const reversed = Object.fromEntries(Object.entries(config).reverse());
    const parsed = runConfigSchema.parse(reversed);
    expect(JSON.stringify(parsed)).toBe(JSON.stringify(runConfigSchema.parse(config)));
    const parts = [parsed, parsed.task, parsed.classes, parsed.phases, parsed.phases[0], parsed.dropout];
    expect(parts.every((part) => Object.isFrozen(part))).toBe(true);
  });

  it.each([
    [{ arch: 'resnet35' }, ['arch']],
    [{ batchSize: 0 }, ['batchSize']],
    [{ task: { kind: 'paint' } }, ['task', 'kind']],
    [{ phases: [{ ...runConfig().phases[0], learningRates: [1e-3] }] }, ['phases', 0, 'learningRates']],
    [{ classWeights: undefined }, ['classWeights']],
  ])('refuses %j', (change, path) => {
    const { error } = runConfigSchema.safeParse({ ...runConfig(), ...change });
    expect(error?.issues[0]?.path).toEqual(path);
  });
});
