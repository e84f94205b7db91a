import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultDiskCacheGib, diskCacheGib, installation } from '../../runtime/installation.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rondo-installation-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function place(name: string, text: string, mode = 0o755): string {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

describe('installation', () => {
  it('reads what set-up has noted', () => {
    const natsServer = place('cache/nats-server', '');
    place(
      '.rondo/installation.json',
      JSON.stringify({ natsServer, tensorflow: { libraries: '/lib', include: '/include' } }),
    );
    expect(installation({}, root)).toMatchObject({ natsServer, tensorflowLibraries: '/lib' });
  });

  it('takes the nats-server that is named, else the noted one, else one on PATH', () => {
    const named = place('named/mine', '');
    const noted = place('noted/nats-server', '');
    const onPath = place('bin/nats-server', '');
    place('.rondo/installation.json', JSON.stringify({ natsServer: noted }));
    const PATH = `/nowhere:${dirname(onPath)}`;
    expect(installation({ PATH, RONDO_NATS_SERVER: named }, root).natsServer).toBe(named);
    expect(installation({ PATH, RONDO_NATS_SERVER: '/nowhere' }, root).natsServer).toBeNull();
    expect(installation({ PATH }, root).natsServer).toBe(noted);
    rmSync(noted);
    expect(installation({ PATH }, root).natsServer).toBe(onPath);
    chmodSync(onPath, 0o644);
    expect(installation({ PATH }, root).natsServer).toBeNull();
  });

  it.each([
    ['absent', undefined],
    ['cut short', '{"natsServer": "/x'],
    ['empty of meaning', 'null'],
  ])('finds nothing, and throws nothing, when the notes are %s', (_, notes) => {
    if (notes !== undefined) place('.rondo/installation.json', notes);
    expect(installation({}, root)).toMatchObject({ natsServer: null, tensorflowLibraries: null });
  });

  it('bounds decoded images on disk by RONDO_CACHE_GIB, and refuses what is no number', () => {
    expect(diskCacheGib({})).toBe(defaultDiskCacheGib);
    expect(diskCacheGib({ RONDO_CACHE_GIB: '' })).toBe(defaultDiskCacheGib);
    expect(diskCacheGib({ RONDO_CACHE_GIB: '0' })).toBe(0);
    expect(diskCacheGib({ RONDO_CACHE_GIB: '300' })).toBe(300);
    for (const wrong of ['-1', '1.5', '20G', 'all']) {
      expect(() => diskCacheGib({ RONDO_CACHE_GIB: wrong })).toThrow(`RONDO_CACHE_GIB is "${wrong}"`);
    }
  });

  it('keeps its cache where it is told', () => {
    expect(installation({ RONDO_CACHE: '/a', XDG_CACHE_HOME: '/b' }, root).cacheDir).toBe('/a');
    expect(installation({ XDG_CACHE_HOME: '/b' }, root).cacheDir).toBe('/b/rondo');
    expect(installation({}, root).cacheDir).toBe(join(homedir(), '.cache/rondo'));
  });
});
