import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

type Source = Record<string, unknown> & { kind: 'index' | 'wheel' | 'folder' };

const { choosePinnedWheel, chooseSource, runtimeFolder } = await loadScript<{
  choosePinnedWheel(
    variant: string,
    machine: { platform: string; arch: string },
  ): { project: string; platform: string; sha256: string; bytes: number };
  chooseSource(
    options: Record<string, string>,
    env: Record<string, string>,
    remembered: Source | undefined,
  ): Source;
  runtimeFolder(source: Source, cache: string, arch: string): string;
}>('wheels.mjs');

const folder = mkdtempSync(join(tmpdir(), 'rondo-wheels-'));
const wheel = join(folder, 'some.whl');
writeFileSync(wheel, 'twelve bytes');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('chooseSource', () => {
  const gpu: Source = { kind: 'index', variant: 'gpu' };

  it('takes the CPU wheel of the index when nobody has said anything', () => {
    expect(chooseSource({}, {}, undefined)).toEqual({ kind: 'index', variant: 'cpu' });
  });

  it('keeps what was chosen before until something else is', () => {
    expect(chooseSource({}, {}, gpu)).toEqual(gpu);
    expect(chooseSource({ variant: 'cpu' }, {}, gpu)).toEqual({ kind: 'index', variant: 'cpu' });
  });

  it('puts the command line above the environment, and the environment above what was chosen before', () => {
    const env = { RONDO_LIBTENSORFLOW: '/env', RONDO_TF_WHEEL: wheel };
    expect(chooseSource({ libtensorflow: '/option' }, env, gpu)).toEqual({
      kind: 'folder',
      folder: '/option',
    });
    expect(chooseSource({}, env, gpu)).toEqual({ kind: 'folder', folder: '/env' });
    expect(chooseSource({}, { RONDO_TF_WHEEL: wheel }, gpu)).toMatchObject({ kind: 'wheel', file: wheel });
    expect(chooseSource({ variant: 'gpu' }, { RONDO_TF_WHEEL: wheel }, undefined)).toMatchObject({
      kind: 'wheel',
      variant: 'gpu',
    });
  });

  it('knows a wheel file by its size and time, and keeps knowing it when it is gone', () => {
    const before = chooseSource({ wheel }, {}, undefined);
    expect(before).toMatchObject({ bytes: 12, changedMs: Math.floor(statSync(wheel).mtimeMs) });
    utimesSync(wheel, 5, 5);
    const after = chooseSource({ wheel }, {}, before);
    expect(runtimeFolder(after, '/cache', 'x64')).not.toBe(runtimeFolder(before, '/cache', 'x64'));
    const gone = { ...before, file: join(folder, 'gone.whl') };
    expect(chooseSource({}, {}, gone)).toEqual(gone);
  });

  it('refuses what cannot be', () => {
    expect(() => chooseSource({ wheel, libtensorflow: folder }, {}, undefined)).toThrow(/exclude each other/);
    expect(() => chooseSource({ wheel: join(folder, 'gone.whl') }, {}, undefined)).toThrow(
      /no wheel file .*gone/,
    );
  });
});

describe('choosePinnedWheel', () => {
  it.each([
    ['cpu', 'x64', 'tensorflow-cpu', 'manylinux_2_27_x86_64'],
    ['gpu', 'x64', 'tensorflow', 'manylinux_2_27_x86_64'],
    ['cpu', 'arm64', 'tensorflow', 'manylinux_2_27_aarch64'],
  ])('%s on %s', (variant, arch, project, platform) => {
    const chosen = choosePinnedWheel(variant, { platform: 'linux', arch });
    expect(chosen).toMatchObject({ project, platform });
    expect(chosen.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(chosen.bytes).toBeGreaterThan(200e6);
  });

  it.each([
    ['gpu', 'linux', 'arm64'],
    ['cpu', 'linux', 'riscv64'],
    ['cpu', 'darwin', 'arm64'],
    ['cpu', 'win32', 'x64'],
  ])('says that there is none: %s on %s %s', (variant, platform, arch) => {
    expect(() => choosePinnedWheel(variant, { platform, arch })).toThrow(
      new RegExp(`for ${platform} on ${arch}`),
    );
  });
});
