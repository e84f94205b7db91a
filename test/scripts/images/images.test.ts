import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScript } from '../load-script.js';

type Entry = { path: string; file?: string; link?: string; text?: string; executable?: boolean };
const { help, parseOptions } = await loadScript<{
  help: string;
  parseOptions(args: string[]): Record<string, unknown>;
}>('images/options.mjs');
const { imageEntries, layOut } = await loadScript<{
  imageEntries(image: 'coordinator' | 'worker', natsServer: string): Entry[];
  layOut(folder: string, entries: Entry[]): void;
}>('images/layout.mjs');

describe('the options of `npm run images`', () => {
  it.each([
    [[], { gpu: null, images: ['coordinator', 'worker'], debootstrap: false, prefix: 'localhost/rondo' }],
    [['--gpu', 'sm_90', '--only', 'worker'], { gpu: 90, images: ['worker'] }],
    [['--gpu', 'all'], { gpu: 'all' }],
    [['--base', 'node:22', '--engine', 'docker'], { base: 'node:22', engine: 'docker' }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([
    [['--gpu', 'h100'], 'sm_90'],
    [['--only', 'nats'], 'coordinator'],
    [['--engine', 'buildah'], 'podman'],
    [['--base', 'node:22', '--debootstrap'], 'two bases'],
    [['--tag', '1'], '--tag'],
  ])('%j is refused', (args, reason) => {
    expect(() => parseOptions(args)).toThrow(reason);
  });

  it('are all in the help', () => {
    for (const name of ['gpu', 'only', 'base', 'debootstrap', 'engine', 'prefix', 'out']) {
      expect(help).toContain(`--${name}`);
    }
  });
});

describe('imageEntries', () => {
  const nats = process.execPath;
  const pathsOf = (image: 'coordinator' | 'worker') => imageEntries(image, nats).map((entry) => entry.path);
  const listed = { coordinator: pathsOf('coordinator'), worker: pathsOf('worker') };
  const paths = (image: 'coordinator' | 'worker') => listed[image];

  it('gives the coordinator no TensorFlow, and workers no nats-server', () => {
    expect(paths('coordinator').filter((file) => file.includes('tensorflow/'))).toEqual(
      paths('coordinator').filter((file) => file.startsWith('app/dist/worker/tensorflow/')),
    );
    expect(paths('coordinator')).toContain('runtime/nats-server');
    expect(paths('worker').filter((file) => /^(runtime|bin)\/nats-server/.test(file))).toEqual([]);
    expect(paths('worker')).toContain(
      'app/node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node',
    );
  });

  it('gives both their programs, the health command and packages of production alone', () => {
    for (const image of ['coordinator', 'worker'] as const) {
      expect(paths(image)).toEqual(
        expect.arrayContaining(['bin/health', `bin/${image}`, 'app/dist/runtime/errors.js']),
      );
      expect(paths(image).some((file) => /node_modules\/(vitest|typescript)\//.test(file))).toBe(false);
      expect(paths(image).some((file) => file.startsWith('app/bench/') || file === 'bin/node')).toBe(false);
      expect(new Set(paths(image)).size).toBe(paths(image).length);
    }
  });
});

describe('layOut', () => {
  it('links files, writes texts with their modes, and makes links', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rondo-layout-'));
    try {
      layOut(folder, [
        { path: 'a/node', file: process.execPath },
        { path: 'bin/x', text: '#!/bin/sh\n', executable: true },
        { path: 'bin/y', link: '../a/node' },
      ]);
      expect(statSync(path.join(folder, 'a/node')).size).toBe(statSync(process.execPath).size);
      expect(readFileSync(path.join(folder, 'bin/x'), 'utf8')).toBe('#!/bin/sh\n');
      expect(statSync(path.join(folder, 'bin/x')).mode & 0o111).toBe(0o111);
      expect(lstatSync(path.join(folder, 'bin/y')).isSymbolicLink()).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
