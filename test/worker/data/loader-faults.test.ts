import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSource, type Source } from '../../../worker/data/source.js';
import { jpegBytes, makeFolder, sha256, writeFiles } from '../../support/images.js';
import { collect, everything, makeLoader, request } from '../../support/loading.js';

/** Passed once it is opened. */
function makeGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe('openLoader', () => {
  it('refuses a file that is another one than was indexed, though it could be decoded', async () => {
    const { dataset, open } = await makeLoader();
    const [one, other] = [6, 8].map((id) => path.join(dataset.root, dataset.train.at(id)!.path));
    await copyFile(other!, one!);
    await expect(collect(open(), everything)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining(one!),
      remedy: expect.any(String),
    });
  });

  it.each([
    ['truncated', (file: string, bytes: Buffer) => truncate(file, bytes.length - 40)],
    ['emptied', (file: string) => truncate(file)],
    ['damaged', (file: string, bytes: Buffer) => writeFile(file, bytes.with(bytes.length >> 1, 0x55))],
  ])('refuses a file that was %s while the run goes on', async (_what, change) => {
    const { dataset, open } = await makeLoader();
    const file = path.join(dataset.root, dataset.train.at(6)!.path);
    await change(file, await readFile(file));
    await expect(collect(open(), everything)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: `image ${file} is not what it was when the run began`,
      remedy: expect.stringContaining('restore the file and resume the run'),
    });
  });

  it('names the file that cannot be decoded or is gone', async () => {
    const { dataset, open } = await makeLoader();
    const file = path.join(dataset.root, dataset.train.at(6)!.path);
    await writeFile(file, 'no image');
    Object.assign(dataset.train.at(6)!, { digest: sha256(Buffer.from('no image')) });
    await expect(collect(open(), everything)).rejects.toMatchObject({
      name: 'RondoError',
      code: 'data-loss',
      message: expect.stringContaining(file),
      remedy: expect.any(String),
    });
    const gone = { ...dataset, valid: [{ ...dataset.valid.at(0)!, path: 'a/gone.jpg' }] };
    const loader = open({ dataset: gone, source: openSource(gone) });
    await expect(collect(loader, [request([0], null, 'valid')])).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('gone.jpg'),
    });
  });

  it('says why the file itself cannot be decoded, whatever fails at the same time', async () => {
    const { open } = await makeLoader();
    const root = await makeFolder();
    const kinds = [(await jpegBytes(0, 240, 240)).subarray(0, 1500), Buffer.from('no image')];
    const train = Array.from({ length: 60 }, (_, id) => ({
      ...{ path: `${id}.jpg`, label: 0, width: 240, height: 240, digest: sha256(kinds[id % 2]!) },
    }));
    await writeFiles(root, Object.fromEntries(train.map(({ path: name }, id) => [name, kinds[id % 2]!])));
    const broken = { root, classes: ['a'], train, valid: [], digest: 'broken' };
    const reasonOf = async (ids: number[]) => {
      const loader = open({ dataset: broken, source: openSource(broken) });
      return collect(loader, [request(ids)]).catch((error: Error) => error.message);
    };
    const [first, second] = [await reasonOf([0]), await reasonOf([1])];
    expect(first).toMatch(/cannot decode image \S+0.jpg: /);
    expect(String(first).split(': ')[1]).not.toBe(String(second).split(': ')[1]);
    expect(await reasonOf(train.map((_, id) => id))).toBe(first);
  });

  it.each(['load', 'loader', 'close'])(
    'ends a load that waits for a slow disk at once: by the signal of %s',
    async (by) => {
      const { dataset, folder, open } = await makeLoader();
      const controllers = { load: new AbortController(), loader: new AbortController() };
      const gate = makeGate();
      const reading = makeGate();
      const source: Source = {
        ...folder,
        read: async (split, id) => {
          reading.open();
          await gate.opened;
          return folder.read(split, id);
        },
      };
      const loader = open({ dataset, source, signal: controllers.loader.signal });
      const items = loader
        .load(everything, { depth: 2, signal: controllers.load.signal })
        [Symbol.asyncIterator]();
      const next = items.next();
      await reading.opened;
      const closed = by === 'close' ? loader.close() : controllers[by as 'load' | 'loader'].abort();
      await expect(next).rejects.toMatchObject({ code: 'cancelled' });
      gate.open();
      await closed;
      await loader.close();
      await expect(collect(loader, everything)).rejects.toMatchObject({ code: 'cancelled' });
    },
  );
});
