import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SharedSlots } from '../../../../../proto/gen/peer.js';
import {
  findSlotFile,
  type MadeSlotFile,
  makeSlotFile,
} from '../../../../../worker/collective/transport/shared-memory/slot-file.js';
import { mountTinyDisk, whyWithoutTinyDisk } from '../../../../support/tiny-disk.js';

const shape = { slotCount: 3, slotBytes: 1000 };
let directory: string;
let made: MadeSlotFile | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rondo-slots-'));
});

afterEach(() => {
  if (made !== null) closeSync(made.fd);
  made = null;
  rmSync(directory, { recursive: true });
});

function make(): MadeSlotFile {
  made = makeSlotFile(directory, shape);
  if (made === null) throw new Error('no file was made');
  return made;
}

function isFound(offer: SharedSlots): boolean {
  const fd = findSlotFile(directory, offer);
  if (fd !== null) closeSync(fd);
  return fd !== null;
}

describe('a slot file', () => {
  it('is found by what is offered, until its name is taken away', () => {
    const { offer, unlink } = make();
    expect(readdirSync(directory)).toEqual([offer.name]);
    expect(isFound(offer)).toBe(true);
    unlink();
    unlink();
    expect(readdirSync(directory)).toEqual([]);
    expect(isFound(offer)).toBe(false);
  });

  it('loses its name when the process exits before anybody has opened it', () => {
    const before = process.listeners('exit');
    make();
    const added = process.listeners('exit').filter((listener) => !before.includes(listener));
    for (const listener of added) listener(0);
    expect(readdirSync(directory)).toEqual([]);
    expect(process.listeners('exit')).toEqual(before);
  });

  it('is not made where there is no directory', () => {
    expect(makeSlotFile(join(directory, 'nowhere'), shape)).toBeNull();
  });

  it('is not made, and not left behind, where no disk has the room', () => {
    expect(makeSlotFile(directory, { slotCount: 8, slotBytes: 2 ** 50 })).toBeNull();
    expect(readdirSync(directory)).toEqual([]);
  });

  it.skipIf(whyWithoutTinyDisk)('is not made, and not left behind, where this disk has not the room', () => {
    const disk = mountTinyDisk(4096);
    expect(makeSlotFile(disk, { slotCount: 8, slotBytes: 1 << 20 })).toBeNull();
    expect(readdirSync(disk)).toEqual([]);
    const file = makeSlotFile(disk, { slotCount: 2, slotBytes: 1 << 20 })!;
    file.unlink();
    closeSync(file.fd);
  });

  it('takes away what killed processes left long ago, and nothing else', () => {
    const old = 'rondo-1-0123456789abcdef';
    const young = 'rondo-1-0123456789abcdee';
    const others = 'rondo-1-notes.txt';
    for (const name of [old, young, others]) writeFileSync(join(directory, name), '');
    const longAgo = Date.now() / 1000 - 7200;
    for (const name of [old, others]) utimesSync(join(directory, name), longAgo, longAgo);
    const { offer } = make();
    expect(readdirSync(directory).sort()).toEqual([others, offer.name, young].sort());
  });
});

describe('a slot file is not taken for the one that is offered', () => {
  it.each<[string, (offer: SharedSlots) => Partial<SharedSlots>]>([
    ['another nonce', () => ({ nonce: new Uint8Array(16).fill(7) })],
    ['a shorter nonce', ({ nonce }) => ({ nonce: nonce.subarray(0, 15) })],
    ['more slots', () => ({ slotCount: 4 })],
    ['smaller slots', () => ({ slotBytes: 999 })],
    ['another name', ({ name }) => ({ name: name.replace(/.$/, (last) => (last === '0' ? '1' : '0')) })],
    ['a path', ({ name }) => ({ name: `../${directory.split('/').at(-1)}/${name}` })],
    ['a path from the root', ({ name }) => ({ name: join(directory, name) })],
    ['no name', () => ({ name: '' })],
  ])('with %s', (_, change) => {
    const { offer } = make();
    expect(isFound({ ...offer, ...change(offer) })).toBe(false);
    expect(isFound(offer)).toBe(true);
  });

  it('when it is a link to it', () => {
    const { offer } = make();
    const name = 'rondo-1-0123456789abcdef';
    symlinkSync(join(directory, offer.name), join(directory, name));
    expect(isFound({ ...offer, name })).toBe(false);
  });

  it('when it is a pipe, without waiting for its other end', () => {
    const { offer } = make();
    const name = 'rondo-1-0123456789abcdef';
    execFileSync('mkfifo', [join(directory, name)]);
    expect(isFound({ ...offer, name })).toBe(false);
  });

  it('when its head has no room for as many slots', () => {
    made = makeSlotFile(directory, { slotCount: 4081, slotBytes: 1 });
    expect(made === null || isFound(made.offer)).toBe(false);
  });
});
