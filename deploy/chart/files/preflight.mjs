// What a run needs, measured from two pods as the workers' are: run by `helm test`. Prints one line for each check, and
// exits with 1 when one fails; arguments name the checks that are made. Pod 0 serves bytes; pod 1 reads them.
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const env = process.env;
const isReader = env.JOB_COMPLETION_INDEX === '1';
const port = Number(env.PEER_PORT ?? 9000);
const megabyte = 1e6;
/** How long the other pod and the coordinator are waited for. */
const patienceMs = 180_000;
/** How long is measured. */
const windowMs = 3_000;
const wanted = process.argv.slice(2);
let failures = 0;

/** @param {string} name @param {() => Promise<string> | string} measure throws what is wrong */
async function check(name, measure) {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  try {
    console.log(`ok      ${name}: ${await measure()}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : error}`);
  }
}

/** A module of the program that this image holds. @param {string} name */
const ofRondo = (name) => import(`${env.RONDO_APP ?? '/opt/rondo/app'}/dist/${name}.js`);

/** @template T @param {() => Promise<T>} attempt @returns {Promise<T>} */
async function patiently(attempt) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(1_000);
    }
  }
}

/** @param {string} host @param {number} at */
async function open(host, at) {
  const socket = connect({ host, port: at, timeout: 10_000 });
  socket.on('timeout', () => socket.destroy(new Error(`no answer from ${host}:${at} within 10 s`)));
  await once(socket, 'connect');
  return socket;
}

async function serveBytes() {
  const block = Buffer.alloc(1 << 20);
  const server = createServer((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('drain', more).on('error', () => {});
    more();
  });
  server.listen(port, '0.0.0.0');
  const [socket] = await Promise.race([once(server, 'connection'), sleep(patienceMs, [null])]);
  if (socket === null)
    throw new Error(`the other pod did not come within ${patienceMs / 1_000} s: is it pending?`);
  const { remoteAddress } = socket;
  // The reader ends by a reset, amid bytes: that is no fault, and `once` would throw it.
  await Promise.race([new Promise((resolve) => socket.once('close', resolve)), sleep(2 * windowMs + 10_000)]);
  server.close();
  return `sent ${Math.round(socket.bytesWritten / megabyte)} MB to ${remoteAddress}`;
}

async function readBytes() {
  const socket = await patiently(() => open(env.PEER_HOST, port));
  const began = performance.now();
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await Promise.race([once(socket, 'close'), sleep(windowMs)]);
  const rate = bytes / megabyte / ((performance.now() - began) / 1_000);
  socket.destroy();
  const text = `${rate.toFixed(0)} MB/s (${(rate * 0.008).toFixed(1)} Gbit/s) from ${env.PEER_HOST}`;
  if (rate < Number(env.MINIMUM_BANDWIDTH))
    throw new Error(`${text}, but test.minimumBandwidth is ${env.MINIMUM_BANDWIDTH} MB/s`);
  return text;
}

function sharedMemory() {
  const { blocks, bsize } = statfsSync('/dev/shm');
  const mib = (blocks * bsize) / 2 ** 20;
  const needed = Number(env.SHM_MIB);
  if (mib < needed)
    throw new Error(`${mib.toFixed(0)} MiB, but the workers of a pod need ${needed} MiB: worker.shmSize`);
  const file = '/dev/shm/preflight';
  writeFileSync(file, Buffer.alloc(16 << 20, 1));
  rmSync(file);
  return `${mib.toFixed(0)} MiB, and writable`;
}

async function device() {
  const { loadBinding } = await ofRondo('worker/tensorflow/binding');
  const binding = loadBinding();
  const usesGpu = binding.isUsingGpuDevice();
  if (env.EXPECTS_GPU === 'true' && !usesGpu)
    throw new Error(
      `TensorFlow ${binding.TF_Version} finds no GPU: is the image a -cuda one, the driver there, and runtimeClassName right?`,
    );
  return `TensorFlow ${binding.TF_Version} computes on ${usesGpu ? 'a GPU' : 'the CPU'}`;
}

async function coordinator() {
  const url = `http://${env.COORDINATOR_HOST}:8080`;
  const response = await patiently(async () => {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`${url}/readyz: ${answer.status} ${(await answer.text()).trim()}`);
    return answer;
  });
  await response.text();
  return `ready: the images are indexed and checked, and workers may join`;
}

async function clock() {
  const before = Date.now();
  const response = await fetch(`http://${env.COORDINATOR_HOST}:8080/healthz`, {
    signal: AbortSignal.timeout(10_000),
  });
  await response.text();
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) throw new Error('the coordinator tells no time');
  // The header has whole seconds.
  const skew = Math.max(0, Math.abs(date + 500 - (before + Date.now()) / 2) - 500) / 1_000;
  const text = `${skew.toFixed(1)} s beside the coordinator's`;
  if (skew > Number(env.MAXIMUM_CLOCK_SKEW))
    throw new Error(`${text}: certificates would be refused; check NTP on the nodes`);
  return text;
}

async function nats() {
  const { hostname, port: natsPort } = new URL(env.NATS_URL);
  const socket = await patiently(() => open(hostname, Number(natsPort || 4222)));
  const [greeting] = await once(socket, 'data');
  socket.destroy();
  const [, info] = /^INFO (\{.*\})/.exec(String(greeting)) ?? [];
  if (info === undefined) throw new Error(`${env.NATS_URL} does not greet as NATS does`);
  const { version, tls_required: tls = false, jetstream = false } = JSON.parse(info);
  if (!jetstream) throw new Error(`nats-server ${version} runs without JetStream`);
  return `nats-server ${version} with JetStream${tls ? ' and TLS' : ''}`;
}

const index = 'index.rondo';

/** Where a file lies that must be there: the index, or the first of tars that have none. @param {string} source */
function place(source) {
  const [, folder, last] = /^(.*)\/([^/]*)$/.exec(source) ?? [];
  if (last === index) return { folder, file: index };
  if (!/\.(tar|tgz|tar\.\w+)$/i.test(last)) return { folder: source, file: index };
  const pattern = last.replace(/%7B/gi, '{').replace(/%7D/gi, '}');
  return { folder, file: pattern.replace(/\{(\w*)[^{}]*\}/g, '$1') };
}

/** As the workers read it, with their credentials. */
async function data() {
  const source = env.DATA_SOURCE ?? '';
  const { isUrl } = await ofRondo('runtime/storage/store');
  if (!isUrl(source) && env.DATA_IN_WORKERS !== 'true')
    return `${source} is the coordinator's, which has read it; workers fetch from it`;
  const { publicUrl } = await ofRondo('runtime/storage/url-access');
  const { folder, file } = place(publicUrl(source));
  if (!isUrl(source) && file === index) {
    const { length } = readdirSync(folder);
    if (length === 0) throw new Error(`${folder} is empty: does data.claim hold the images?`);
    return `${folder} is mounted here, with ${length} files and folders`;
  }
  const { openStore } = await ofRondo('runtime/storage/open-store');
  const { RangesIgnored } = await ofRondo('runtime/storage/http-reader');
  const patience = { tries: 3, backoffMs: 500, maxBackoffMs: 2_000, stallMs: 10_000 };
  const store = openStore(folder, { patience });
  const size = await store.sizeOf(file);
  const began = performance.now();
  try {
    const { byteLength } = await store.read(file, { start: 0, end: Math.max(1, Math.min(size, 1 << 20)) });
    const rate = byteLength / 1e3 / (performance.now() - began);
    return `${store.nameOf(file)} has ${size} bytes, ${rate.toFixed(1)} MB/s`;
  } catch (error) {
    if (error instanceof RangesIgnored) return `${store.nameOf(file)}: the server gives whole files only`;
    throw error;
  }
}

console.log(
  `pod ${env.JOB_COMPLETION_INDEX} on node ${env.NODE_NAME}, kernel ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}`,
);
await check('/dev/shm', sharedMemory);
await check('device', device);
await check('peer bandwidth', isReader ? readBytes : serveBytes);
await check('coordinator', coordinator);
await check('clock', clock);
await check('NATS', nats);
await check('data', data);
process.exit(failures === 0 ? 0 : 1);
