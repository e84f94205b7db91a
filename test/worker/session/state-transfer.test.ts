import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { PeerClient } from '../../../proto/gen/peer.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { startPeerServer } from '../../../worker/collective/transport/grpc/peer-server.js';
import { makeSlotFile } from '../../../worker/collective/transport/shared-memory/slot-file.js';
import type { StateLayout } from '../../../worker/model/program.js';
import { receiveState, sendState } from '../../../worker/session/state-transfer.js';
import {
  createHeldSnapshots,
  createSnapshots,
  type Snapshots,
  type StateForm,
} from '../../../worker/training/snapshots.js';
import { digestState } from '../../../worker/training/state-digests.js';
import { testCredentials } from '../../support/credentials.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';

/** Large enough for several chunks. */
const length = 700_001;
const layout = {
  ...fakeShape.state,
  parameters: [{ name: 'w', shape: [length], offset: 0, group: 0 }],
  first: [],
  second: [],
  length,
  parameterLength: length,
};

const form = formOf(layout);

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function formOf(of: StateLayout): StateForm {
  return createSnapshots(createFakeCompute(), of).form;
}

/** @param sharedMemory where the server looks for what is offered to it. */
async function serve(
  snapshots: Snapshots | undefined,
  sharedMemory: string | null = null,
): Promise<PeerClient> {
  const server = await startPeerServer('127.0.0.1:0', testCredentials, {
    exchange: (call) => call.end(),
    copyState: (call) =>
      void sendState(call, async ({ step }) => snapshots?.lend(Number(step)), sharedMemory),
  });
  const client = openChannel(PeerClient, server.address, {
    credentials: testCredentials,
    peer: 'anybody',
    maxReceiveBytes: 4 << 20,
  });
  closing.push(
    () => client.close(),
    () => server.destroy(),
  );
  return client;
}

async function snapshotsOf(step: number): Promise<Snapshots> {
  const snapshots = createSnapshots(createFakeCompute(), layout);
  await snapshots.put(step, async (values) => {
    for (let index = 0; index < values.length; index++) values[index] = Math.sin(index);
  });
  return snapshots;
}

describe('copying state between workers', () => {
  it('arrives bit for bit, with its step and digests, and gives the snapshot back', async () => {
    const snapshots = await snapshotsOf(12);
    const client = await serve(snapshots);
    const values = new Float32Array(length);
    const header = await receiveState(
      client.copyState({ generation: 1n, step: 12n, flat: true }),
      form,
      values,
    );
    expect(header).toMatchObject({
      step: 12n,
      stateDigest: createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex'),
      parameterDigest: (await digestState(values, layout)).parameters,
    });
    expect(values.every((value, index) => value === Math.fround(Math.sin(index)))).toBe(true);
    const plain = client.copyState({ generation: 1n, step: 12n, flat: false });
    expect(await receiveState(plain, form, values)).toMatchObject({ stateDigest: '', parameterDigest: '' });
  });

  it('arrives as variables hold it, without tensors and digests', async () => {
    const held = createHeldSnapshots(createFakeCompute(), { length, updates: length - 2, amax: length - 1 });
    await held.put(12, async (values) => void values.fill(1.5));
    const client = await serve(held);
    const call = () => client.copyState({ generation: 1n, step: 12n, flat: false });
    const values = new Float32Array(length);
    const header = await receiveState(call(), held.form, values);
    expect(header).toEqual({
      ...{ step: 12n, length: BigInt(length), stateDigest: '', parameterDigest: '', tensors: [] },
    });
    expect(values.every((value) => value === 1.5)).toBe(true);
    await expect(receiveState(call(), form, values)).rejects.toThrow('does not fit this network');
    const flat = client.copyState({ generation: 1n, step: 12n, flat: true });
    await expect(receiveState(flat, form, values)).rejects.toThrow('digests are those of the flat state');
  });

  describe('through memory that is offered', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rondo-memory-'));
    afterAll(() => rmSync(folder, { recursive: true }));

    it.each([
      ['that the sender finds', folder, 4 * length, 'written'],
      ['that the sender does not find', path.join(folder, 'elsewhere'), 4 * length, 'data'],
      ['of another length', folder, 4 * length - 4, 'data'],
      ['to a sender that shares none', null, 4 * length, 'data'],
    ])('%s: arrives bit for bit, and leaves no file', async (_, looked, slotBytes, way) => {
      const client = await serve(await snapshotsOf(12), looked);
      const memory = makeSlotFile(folder, { slotCount: 1, slotBytes })!;
      const stream = client.copyState({
        ...{ generation: 1n, step: 12n, flat: false },
        memory: memory.offer,
      });
      const ways = new Set<string>();
      const watched = async function* () {
        for await (const chunk of stream) {
          ways.add(chunk.part!.$case);
          yield chunk;
        }
      };
      const values = new Float32Array(allocateShared(4 * length), 0, length);
      await receiveState(watched(), form, values, memory);
      closeSync(memory.fd);
      expect([...ways]).toEqual(['header', way]);
      expect(values.every((value, index) => value === Math.fround(Math.sin(index)))).toBe(true);
      expect(readdirSync(folder)).toEqual([]);
    });

    it('is refused where nothing was offered, or more was written than there is', async () => {
      const tensors = [layout.updates, layout.amax].map((spec) => ({
        ...{ name: spec.name, shape: [...spec.shape], offset: BigInt(spec.offset) },
      }));
      const header = { step: 1n, length: 3n, stateDigest: '', parameterDigest: '', tensors };
      const empty = formOf({ ...layout, parameters: [], length: 3 });
      for (const [bytes, isOffered] of [
        [12, false],
        [16, true],
      ] as const) {
        const memory = isOffered ? makeSlotFile(folder, { slotCount: 1, slotBytes: 16 }) : null;
        const stream = async function* () {
          yield { part: { $case: 'header' as const, value: header } };
          yield { part: { $case: 'written' as const, value: bytes } };
        };
        const receiving = receiveState(stream(), empty, new Float32Array(3), memory);
        await expect(receiving).rejects.toThrow('does not have 3 values');
        if (memory !== null) closeSync(memory.fd);
      }
    });
  });

  it('gives the snapshot back when the receiver leaves in the middle', async () => {
    const snapshots = await snapshotsOf(12);
    const client = await serve(snapshots);
    const stream = client.copyState({ generation: 1n, step: 12n, flat: true });
    stream.on('error', () => {});
    for await (const chunk of stream) if (chunk.part.$case === 'data') break;
    stream.cancel();
    // The lent memory is written again only when nobody reads it: the third snapshot then reuses the first's.
    const first = snapshots.lend(12)!;
    first.giveBack();
    await expect
      .poll(async () => {
        const taken = await snapshots.put(13, async () => {});
        return taken.values.buffer === first.snapshot.values.buffer;
      })
      .toBe(true);
  });

  it('refuses a step that is not held', async () => {
    for (const snapshots of [undefined, await snapshotsOf(12)]) {
      const client = await serve(snapshots);
      const receiving = receiveState(
        client.copyState({ generation: 1n, step: 11n, flat: true }),
        form,
        new Float32Array(length),
      );
      const error = RondoError.from(await receiving.catch((thrown: unknown) => thrown));
      expect(error.code).toBe('not-found');
      expect(error.message).toContain('step 11');
    }
  });

  it('names the first tensor that does not fit', async () => {
    const client = await serve(await snapshotsOf(12));
    const parameters = [{ name: 'fc.weight', shape: [length], offset: 0, group: 0 }];
    const other = formOf({ ...layout, parameters });
    const receiving = receiveState(
      client.copyState({ generation: 1n, step: 12n, flat: true }),
      other,
      new Float32Array(length),
    );
    await expect(receiving).rejects.toThrow(/expected fc\.weight .* got w /);
  });

  it('refuses a stream of too few or too many values', async () => {
    const tensors = [layout.updates, layout.amax].map((spec) => ({
      ...{ name: spec.name, shape: [...spec.shape], offset: BigInt(spec.offset) },
    }));
    const header = { step: 1n, length: 3n, stateDigest: '', parameterDigest: '', tensors };
    const empty = formOf({ ...layout, parameters: [], length: 3 });
    for (const bytes of [8, 16]) {
      const stream = async function* () {
        yield { part: { $case: 'header' as const, value: header } };
        yield { part: { $case: 'data' as const, value: new Uint8Array(bytes) } };
      };
      await expect(receiveState(stream(), empty, new Float32Array(3))).rejects.toThrow(
        'does not have 3 values',
      );
    }
  });
});

describe('the peer server', () => {
  it('refuses to listen where other machines reach it', async () => {
    const service = { exchange: () => {}, copyState: () => {} };
    await expect(startPeerServer('0.0.0.0:0', testCredentials, service)).rejects.toMatchObject({
      code: 'permission-denied',
    });
  });
});
