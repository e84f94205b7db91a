import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startVersitygw, type Versitygw, whyWithoutVersitygw } from '../../bench/support/versitygw.js';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { hasGo } from '../support/go-programs.js';
import { startHttpRelay } from '../support/http-relay.js';
import { packFolder } from '../support/packing.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readJsonLines } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { startGoServer } from '../support/web-servers.js';

// The commands beside `start` that read images, from a web server and a bucket as from the folder that was packed.

const why = whyWithoutVersitygw || !(await hasGo());
const runs = openQuickRuns();
const packed = path.join(runs.root, 'packed');
let data: string;
let gateway: Versitygw;

beforeAll(async () => {
  if (why) return;
  data = await drawTinyFolder(40);
  await packFolder(data, packed);
  gateway = await startVersitygw('photos');
  await run('bucket', ['pack', data, '--out', 's3://photos/packed', '--shard-size', '64KiB']);
  await run('folder', runs.start('trained', data, '--epochs', '1', '--threads', '1', '--workers', '1'));
});
afterEach(killCoordinators);
afterAll(() => {
  gateway?.close();
  runs.remove();
  if (data) rmSync(data, { recursive: true, force: true });
});

/** Each place has a cache of its own: else what another one has decoded is found, and nothing is fetched. */
async function run(place: string, inputs: readonly string[], more: Record<string, string> = {}) {
  const environment = {
    ...gateway.environment,
    RONDO_CACHE: path.join(runs.root, `cache-${place}`),
    ...more,
  };
  const { code, events, stderr } = await runCoordinator(inputs, environment);
  expect(code, stderr).toBe(0);
  return events;
}

const quick = ['--seed', '3', '--size', '32', '--json'];
const trial = ['--arch', 'resnet18', '--batch-size', '20', '--micro-batch', '4', '--steps', '8'];
const ofRun = ['trained', '--run-dir', runs.root, '--json'];

/** What a command finds in images that lie at `from`: all of it that does not name the place. */
const commands = {
  async 'show-batch'(place: string, from: string, more: Record<string, string>) {
    const out = path.join(runs.root, `${place}.png`);
    await run(place, ['show-batch', '--data', from, ...quick, '--count', '12', '--out', out], more);
    return readFileSync(out).toString('base64');
  },
  async 'lr-find'(place: string, from: string, more: Record<string, string>) {
    const out = path.join(runs.root, `rates-${place}`);
    const inputs = ['--data', from, ...quick, ...trial, '--threads', '1', '--workers', '2', '--out', out];
    await run(place, ['lr-find', ...inputs], more);
    const { points, suggestions, stateDigest } = JSON.parse(
      readFileSync(path.join(out, 'lr-find.json'), 'utf8'),
    ) as Record<string, unknown>;
    return { points, suggestions, stateDigest };
  },
  async predict(place: string, from: string, more: Record<string, string>) {
    const events = await run(place, ['predict', ...ofRun, from === data ? packed : from], more);
    const predictions = events.filter(({ kind }) => kind === 'prediction');
    expect(predictions).toHaveLength(120);
    return predictions.map(({ image, top }) => [String(image).split('/').slice(-2).join('/'), top]);
  },
  async interpret(place: string, from: string, more: Record<string, string>) {
    await run(place, ['interpret', ...ofRun, '--workers', '2', '--data', from], more);
    const lines = readJsonLines(path.join(runs.run('trained'), 'report', 'predictions.jsonl'));
    expect(lines).toHaveLength(24);
    return lines;
  },
};

it.skipIf(why).each(Object.keys(commands) as (keyof typeof commands)[])(
  '%s finds the same from a web server and from a bucket as in the folder',
  async (name) => {
    const command = commands[name];
    const found = await command('folder', data, {});
    const [web, bucket] = [
      await startHttpRelay(await startGoServer(runs.root)),
      await startHttpRelay(gateway.url),
    ];
    const places = [
      ['web', `${web.url}/packed`, web],
      ['bucket', 's3://photos/packed', bucket],
    ] as const;
    for (const [place, from, relay] of places) {
      const read = await command(`${name}-${place}`, from, { AWS_ENDPOINT_URL: bucket.url });
      expect(read, place).toEqual(found);
      const images = relay.requests.filter(({ path: file, sent }) => file.endsWith('.tar') && sent > 0);
      expect(images.length).toBeGreaterThan(0);
      await relay.close();
    }
  },
);
