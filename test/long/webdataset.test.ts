import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, expect, onTestFinished, test } from 'vitest';
import { readIndex } from '../../coordinator/dataset/shard-index.js';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { jpegBytes, makeFolder, sha256, writeFiles } from '../support/images.js';
import { packFolder } from '../support/packing.js';
import { runPython, whyWithout } from '../support/python-with-torch.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const why = whyWithout('webdataset', 'torchvision');
const runs = openQuickRuns();
afterEach(killCoordinators);
afterAll(() => runs.remove());

test.skipIf(why)('WebDataset and torchvision read what was packed: the same images and labels', async () => {
  const data = path.join(await makeFolder(), 'photos');
  const wanted: [digest: string, folder: string, shape: number[]][] = [];
  for (let i = 0; i < 40; i += 1) {
    const bytes = await jpegBytes(i, 60 + i, 50);
    // Dots, line breaks, names like metadata's, long ones, other letters.
    const [folder, name] = [['__x__', 'v1.2', 'ü'.repeat(90), 'two\nlines'][i % 4]!, `a.${i}.b`];
    await writeFiles(data, { [`${folder}/${name}.JPEG`]: bytes });
    wanted.push([sha256(bytes), folder, [3, 50, 60 + i]]);
  }
  const out = path.join(await makeFolder(), 'packed');
  const { shards } = await packFolder(data, out, { shardBytes: 30_000 });
  expect(shards.length).toBeGreaterThan(2);
  const read = JSON.parse(
    runPython(
      `
import glob, hashlib, io, json, sys, torch, torchvision, webdataset
from torchvision.io import decode_image
found = []
for sample in webdataset.WebDataset(sorted(glob.glob(sys.argv[1] + "/*.tar")), shardshuffle=False):
    raw = sample["jpg"]
    pixels = decode_image(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
    found.append([hashlib.sha256(raw).hexdigest(), int(sample["cls"]), list(pixels.shape)])
decoded = list(webdataset.WebDataset(sorted(glob.glob(sys.argv[1] + "/*.tar")), shardshuffle=False)
               .decode("pil").to_tuple("jpg;png", "cls"))
assert [(i.size[1], i.size[0], l) for i, l in decoded] == [(f[2][1], f[2][2], f[1]) for f in found]
print(json.dumps(found))`,
      out,
    ),
  ) as [string, number, number[]][];
  const { classes } = (await readIndex(path.join(out, 'index.rondo'))).header;
  const byDigest = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
  expect(read.map(([digest, label, shape]) => [digest, classes[label], shape]).sort(byDigest)).toEqual(
    wanted.map(([digest, folder, shape]) => [digest, folder.normalize(), shape]).sort(byDigest),
  );

  const card = await readFile(path.join(out, 'README.md'), 'utf8');
  const [, example] = /```python\n(.*?)```/s.exec(card)!;
  const program = `import os, sys\nos.chdir(sys.argv[1])\n${example}\nprint(sum(image.size[1] == 50 for image, label in data))`;
  expect(runPython(program, out)).toBe('40\n');
});

test.skipIf(why)('a run trains on tars that WebDataset wrote, in any world to the same weights', async () => {
  const data = await drawTinyFolder(40);
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const tars = await makeFolder();
  const written = runPython(
    `
import glob, os, sys, webdataset
files = sorted(glob.glob(sys.argv[1] + "/*/*"))
with webdataset.ShardWriter(sys.argv[2] + "/photos-%06d.tar", maxcount=50, verbose=0) as writer:
    # Classes mixed, as such shards usually are.
    for number, file in enumerate(sorted(files, key=os.path.basename)):
        with open(file, "rb") as image:
            writer.write({"__key__": f"{number:06d}", "jpg": image.read(), "cls": os.path.basename(os.path.dirname(file))})
print(len(files))`,
    data,
    tars,
  );
  expect(written).toBe('120\n');
  const digests = [];
  for (const workers of [1, 2]) {
    const name = `webdataset-${workers}`;
    const environment = { RONDO_CACHE: path.join(runs.root, 'cache') };
    const more = ['--epochs', '2', '--threads', '1', '--workers', String(workers)];
    const { code, stderr } = await runCoordinator(runs.start(name, tars, ...more), environment);
    expect(code, stderr).toBe(0);
    const steps = readCommittedSteps(runs.run(name));
    const counts = new Map<number, number>();
    for (const id of steps.flatMap(({ shares }) => shares.flat())) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(new Set(counts.values())).toEqual(new Set([2]));
    expect(counts.size).toBeGreaterThan(80);
    digests.push(readSummaryFile(runs.run(name)).parameterDigest);
  }
  expect(digests[1]).toBe(digests[0]);
});
