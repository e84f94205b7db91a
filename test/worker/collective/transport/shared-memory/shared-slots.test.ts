import { fstatSync, ftruncateSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RondoError } from '../../../../../runtime/errors.js';
import {
  type IncomingSlots,
  type OutgoingSlots,
  openIncomingSlots,
  openOutgoingSlots,
} from '../../../../../worker/collective/transport/shared-memory/shared-slots.js';
import {
  findSlotFile,
  makeSlotFile,
} from '../../../../../worker/collective/transport/shared-memory/slot-file.js';

const shape = { slotCount: 3, slotBytes: 1000 };
const over = new RondoError('aborted', 'it is over');
let fds: readonly [number, number];
let incoming: IncomingSlots;
let outgoing: OutgoingSlots;

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'rondo-slots-'));
  const file = makeSlotFile(directory, shape)!;
  const found = findSlotFile(directory, file.offer)!;
  rmSync(directory, { recursive: true });
  fds = [file.fd, found];
  incoming = openIncomingSlots(file.fd, shape);
  outgoing = openOutgoingSlots(found, file.offer);
});

afterEach(() => {
  incoming.close(over);
  outgoing.close(over);
});

function bytesOf(value: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

describe('shared slots', () => {
  it('carry pieces, each slot its own', () => {
    const slots = [1, 2, 3].map((value) => {
      const slot = outgoing.take(1000)!;
      slot.write(0, bytesOf(value, 600));
      slot.write(600, bytesOf(value + 10, 400));
      return slot;
    });
    expect(slots.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const { index } of slots) {
      const all = new Uint8Array(1000);
      incoming.open(index).read(0, all.subarray(0, 500));
      incoming.open(index).read(500, all.subarray(500));
      expect(all).toEqual(Uint8Array.from({ length: 1000 }, (_, i) => index + (i < 600 ? 1 : 11)));
    }
  });

  it('are taken once each until the receiver has read them, for as long as one likes', () => {
    for (const expected of [0, 1, 2, null, null]) expect(outgoing.take(1)?.index ?? null).toBe(expected);
    incoming.open(1).release();
    expect(outgoing.take(1)?.index).toBe(1);
    expect(outgoing.take(1)).toBeNull();
    for (let i = 0; i < 1000; i += 1) {
      incoming.open(2).release();
      expect(outgoing.take(1)?.index).toBe(2);
      expect(outgoing.take(1)).toBeNull();
    }
  });

  it('are for what fits', () => {
    expect(outgoing.take(1001)).toBeNull();
    const slot = outgoing.take(1000)!;
    expect(() => slot.write(1, bytesOf(1, 1000))).toThrow('too small');
    expect(() => incoming.open(0).read(1, bytesOf(0, 1000))).toThrow(RondoError);
    expect(() => incoming.open(3)).toThrow(RondoError);
  });

  it('say so when somebody cut the file short', () => {
    outgoing.take(1000)!.write(0, bytesOf(1, 1000));
    ftruncateSync(fds[0], 4096 + 500);
    expect(() => incoming.open(0).read(0, bytesOf(0, 1000))).toThrow(
      expect.objectContaining({ code: 'data-loss' }),
    );
  });

  it('close their file once, and what is at hand then says why', () => {
    const [to, from] = [outgoing.take(1)!, incoming.open(0)];
    for (let i = 0; i < 2; i += 1) {
      outgoing.close(over);
      incoming.close(over);
    }
    for (const fd of fds) expect(() => fstatSync(fd)).toThrow('EBADF');
    expect(outgoing.take(1)).toBeNull();
    expect(() => to.write(0, bytesOf(1, 1))).toThrow('it is over');
    expect(() => from.read(0, bytesOf(1, 1))).toThrow('it is over');
    expect(() => incoming.open(0)).toThrow('it is over');
    expect(() => from.release()).not.toThrow();
  });
});
