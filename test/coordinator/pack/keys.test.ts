import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameSamples } from '../../../coordinator/pack/keys.js';
import { encodeEnd, encodeFiles } from '../../../coordinator/pack/tar.js';
import { readTar } from '../../support/archives.js';

const name = (paths: readonly string[]) => nameSamples('path', paths, [...paths.keys()]);

/** WebDataset's own rules (tariterators.py): what it passes over, and what it takes for key and ending. */
function splitAsWebDataset(file: string): readonly [key: string, ending: string] | null {
  if (/^__[^/]*__(?:$|\/)/.test(file)) return null;
  const found = /^((?:[^\n]*\/|)[^.]+)[.]([^/]*)$/.exec(file);
  return found && [found[1]!, found[2]!.toLowerCase()];
}

/** One part of a path as a file system may hold it: anything but /, and not hidden. */
const part = fc
  .oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('a', '.', '_', '\n', 'é', ' ', '漢'), minLength: 1, maxLength: 60 }),
  )
  .map((text) => text.replace(/[/\0]|^\.+/g, ''))
  .filter((text) => text !== '');
const path = fc
  .tuple(fc.array(part, { maxLength: 6 }), part, fc.constantFrom('.jpg', '.JPEG', '.png', '.webp'))
  .map(([folders, stem, ending]) => [...folders, stem + ending].join('/'));

describe('nameSamples', () => {
  it('takes paths without their endings, and what else WebDataset would misread', () => {
    expect(
      name(['cat/001.jpg', 'v1.2/a.b..JPEG', 'two\nlines/x.png', '__meta__/y.gif', 'ünï/漢.webp']),
    ).toEqual(['cat/001', 'v1.2/a_b_', 'two_lines/x', '_meta__/y', 'ünï/漢']);
  });

  it('numbers them by their place in the data set', () => {
    expect(nameSamples('number', ['a/x.jpg', 'a/x.png'], [7, 1_234_567])).toEqual(['00000007', '01234567']);
  });

  it.each([
    ['a/x.jpg', 'a/x.png'],
    ['a/x.y.jpg', 'a/x_y.jpg'],
    ['a/x.jpg', 'a/x.JPG'],
  ])('refuses %s beside %s, and says what can be done', (first, second) => {
    expect(() => name([first, 'b/z.jpg', second])).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining(`${first} and ${second} would both be the sample a/`),
        remedy: 'rename one of them, or number the samples: --keys number',
      }),
    );
  });

  it('gives each file, whatever it is called, one sample of image and label to WebDataset', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(path, { minLength: 1, maxLength: 8 }), async (paths) => {
        let keys: readonly string[];
        try {
          keys = name(paths);
        } catch {
          // Two of them are one sample, which is said.
          return;
        }
        const files = keys.flatMap((key, index) => [
          { name: `${key}.jpg`, bytes: Buffer.from(`image ${index}`) },
          { name: `${key}.cls`, bytes: Buffer.from(String(index)) },
        ]);
        const archive = Buffer.concat([...(await encodeFiles(files)), await encodeEnd()]);
        const read = await readTar(archive);
        expect(read).toEqual(files);
        expect(read.map((file) => splitAsWebDataset(file.name))).toEqual(
          keys.flatMap((key) => [
            [key, 'jpg'],
            [key, 'cls'],
          ]),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("gives names that Python's own reader finds unchanged", async () => {
    const keys = fc.sample(path, 300).map((drawn) => name([drawn])[0]!);
    const archive = Buffer.concat([
      ...(await encodeFiles(keys.map((key) => ({ name: `${key}.jpg`, bytes: Buffer.from(key) })))),
      await encodeEnd(),
    ]);
    const program = `
import io, sys, tarfile
with tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode="r|") as archive:
    print(sum(archive.extractfile(m).read() + b".jpg" == m.name.encode() for m in archive))`;
    expect(execFileSync('python3', ['-c', program], { input: archive, encoding: 'utf8' })).toBe('300\n');
  });
});
