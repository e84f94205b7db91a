import { cp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { serveVerifiers, type VerifierServer } from '../../../coordinator/cluster/remote-verifiers.js';
import { listImageFiles } from '../../../coordinator/dataset/image-files.js';
import type { FolderVerifier } from '../../../coordinator/dataset/verify.js';
import type { RunCredentials } from '../../../runtime/grpc/credentials.js';
import { version } from '../../../runtime/installation.js';
import { verifyHere } from '../../../runtime/verification/verifiers.js';
import { verifyImages } from '../../../worker/session/verify-images.js';
import { testCredentials } from '../../support/credentials.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';
import { openRelay } from '../../support/relay.js';
import { serveCoordinator } from '../../support/serve-coordinator.js';

const access = { credentials: testCredentials as RunCredentials, authority: null, operators: null };
let server: VerifierServer | undefined;
afterEach(() => server?.destroy());

async function serve(o: { version?: string; listen?: string } = {}): Promise<VerifierServer> {
  server = await serveVerifiers({ listen: '127.0.0.1:0', access, version, ...o });
  return server;
}

/** A worker, and the first helper that the coordinator has by it. */
async function join(dataRoot: string | null) {
  const { address, attend } = await serve();
  const controller = new AbortController();
  const ended = verifyImages(address, testCredentials, { dataRoot, signal: controller.signal });
  const helper = await new Promise<FolderVerifier>((resolve) => void attend(resolve));
  return { helper, controller, ended };
}

const { signal } = new AbortController();

async function makeFiles() {
  const root = await makeFolder();
  const good = await jpegBytes(1);
  await writeFiles(root, {
    'a/damaged.jpg': good.subarray(0, good.length / 2),
    'a/empty.jpg': '',
    'a/long.jpg': Buffer.concat([good, Buffer.alloc(3 << 20)]),
    'a/page.jpg': '<!doctype html>',
    ...Object.fromEntries(
      await Promise.all(
        Array.from({ length: 12 }, async (_, index) => [`b/${index}.jpg`, await jpegBytes(index)] as const),
      ),
    ),
  });
  const { files } = await listImageFiles(root, { signal, onFound() {} });
  const here = verifyHere();
  const expected = await Promise.all(
    files.map((file) => here.verify({ file: path.join(root, file.path), size: file.size })),
  );
  return { root, files, expected };
}

describe('a worker that waits for a run to begin', () => {
  it('finds what the coordinator would, in files that it has and in bytes that it is sent', async () => {
    const { root, files, expected } = await makeFiles();
    for (const dataRoot of [null, path.join(root, 'nowhere')]) {
      const { helper, ended } = await join(dataRoot);
      expect(await Promise.all(files.map((file) => helper.verify(root, file)))).toEqual(expected);
      await server!.close(1_000);
      await ended;
    }
  });

  it('does not take other files for those of the coordinator, whatever their names and dates', async () => {
    const { root, files, expected } = await makeFiles();
    const copy = await makeFolder();
    await cp(root, copy, { recursive: true, preserveTimestamps: true });
    for (const name of await readdir(path.join(copy, 'b'))) {
      const file = path.join(copy, 'b', name);
      const bytes = await readFile(file);
      bytes[bytes.length - 3]! ^= 1;
      await writeFile(file, bytes);
      await utimes(file, 1e9, 1e9);
    }
    const { helper } = await join(copy);
    expect(await Promise.all(files.map((file) => helper.verify(root, file)))).toEqual(expected);
  });

  it('is told of what the coordinator cannot read', async () => {
    const { root, files } = await makeFiles();
    await rm(path.join(root, 'b'), { recursive: true });
    const { helper } = await join(null);
    const verdicts = await Promise.all(files.slice(4).map((file) => helper.verify(root, file)));
    const gone = { finding: { usable: false, reason: 'vanished after it was listed' }, lasting: false };
    expect(new Set(verdicts.map((verdict) => JSON.stringify(verdict)))).toEqual(
      new Set([JSON.stringify(gone)]),
    );
  });

  it('gives back what it has in hand when it is lost', async () => {
    const { root, files } = await makeFiles();
    const { helper, controller, ended } = await join(path.join(root, 'nowhere'));
    const verdicts = Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => helper.verify(root, files[index % files.length]!)),
    );
    controller.abort();
    await ended;
    const lost = (await verdicts).filter(({ status }) => status === 'rejected');
    expect(lost.length).toBeGreaterThan(0);
    await expect(helper.verify(root, files[0]!)).rejects.toThrow();
  });

  it('is not asked when it is of another version, and waits all the same', async () => {
    const { address, attend, close } = await serve({ version: '0.0.0' });
    let asked = 0;
    await attend(() => {
      asked += 1;
    });
    let isOver = false;
    const ended = verifyImages(address, testCredentials, { dataRoot: null, signal }).then(() => {
      isOver = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([asked, isOver]).toEqual([0, false]);
    await close(1_000);
    await ended;
  });

  it('waits for another coordinator when one dies, though it was asked nothing', async () => {
    const { address, attend } = await serve();
    const relay = await openRelay(address);
    let isOver = false;
    const ended = verifyImages(relay.address, testCredentials, { dataRoot: null, signal }).then(() => {
      isOver = true;
    });
    await new Promise<FolderVerifier>((resolve) => void attend(resolve));
    relay.destroy();
    server!.destroy();
    const next = await serve({ listen: relay.address });
    await new Promise<FolderVerifier>((resolve) => void next.attend(resolve));
    expect(isOver).toBe(false);
    await next.close(1_000);
    await ended;
  });

  it('goes on at once where the data set is known', async () => {
    const cluster = await serveCoordinator('127.0.0.1:0');
    await verifyImages(cluster.address, testCredentials, { dataRoot: null, signal });
    cluster.destroy();
  });
});
