import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

const { chooseWay, findNatsServer } = await loadScript<{
  chooseWay(machine: { go: boolean; managers: string[]; rootUser: boolean; sudo: boolean }): {
    how: string;
    command?: string[];
    sentence?: string;
  };
  findNatsServer(env: Record<string, string>, cache: string): string | null;
}>('nats-server.mjs');

const folder = mkdtempSync(join(tmpdir(), 'rondo-nats-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, mode = 0o755): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, mode);
  return file;
}

describe('chooseWay', () => {
  const bare = { go: false, managers: [], rootUser: false, sudo: false };
  const install = ['install', '-y', 'nats-server'];

  it.each([
    ['Go before anything', { ...bare, go: true, managers: ['apt-get'], rootUser: true }, 'build', undefined],
    [
      'root needs no sudo',
      { ...bare, managers: ['apt-get'], rootUser: true },
      'install',
      ['apt-get', ...install],
    ],
    [
      'sudo without a password',
      { ...bare, managers: ['dnf'], sudo: true },
      'install',
      ['sudo', '-n', 'dnf', ...install],
    ],
    ['Homebrew asks nobody', { ...bare, managers: ['brew'] }, 'install', ['brew', 'install', 'nats-server']],
    ['a manager that it may not use', { ...bare, managers: ['apt-get'] }, 'ask', undefined],
    ['nothing', bare, 'ask', undefined],
  ])('%s', (_, machine, how, command) => {
    const way = chooseWay(machine);
    expect(way.how).toBe(how);
    expect(way.command).toEqual(command);
    if (how === 'ask') expect(way.sentence).toMatch(/RONDO_NATS_SERVER/);
  });
});

describe('findNatsServer', () => {
  const named = program('named/mine');
  const onPath = program('bin/nats-server');
  const cached = program('cache/nats-server-2.15.2/nats-server');
  program('other/nats-server', 0o644);
  const cache = join(folder, 'cache');

  it('takes the named one, else one on PATH, else the one in the cache', () => {
    expect(findNatsServer({ RONDO_NATS_SERVER: named, PATH: dirname(onPath) }, cache)).toBe(named);
    expect(findNatsServer({ PATH: `:/nowhere:${dirname(onPath)}` }, cache)).toBe(onPath);
    expect(findNatsServer({ PATH: '/nowhere' }, cache)).toBe(cached);
  });

  it('takes none that cannot be run, and no other than the named one', () => {
    expect(findNatsServer({ PATH: join(folder, 'other') }, join(folder, 'empty'))).toBeNull();
    expect(findNatsServer({ RONDO_NATS_SERVER: '/nowhere', PATH: dirname(onPath) }, cache)).toBeNull();
  });
});
