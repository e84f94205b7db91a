// Loaded into every process of a run by `node --import`. RONDO_TEST_FAULTS lists faults, one to come after the other
// (test/faults/disturbed-run.ts has their type): the `worker` of each does what `fault` says when it first comes to
// `point`, once others have taken a step with it since the fault before, and are in the next. The `file` that it makes
// then tells the next one, and keeps a worker that is started in its place from doing it again.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';

const faults = JSON.parse(process.env.RONDO_TEST_FAULTS);
/** In the step that follows so many others. */
const stepsBefore = 3;
const [stopSeconds, slowMs, cutSeconds] = [5, 40, 6];
/** Where a worker may be that has taken no step with others. */
const early = ['joining', 'copying', 'copied from'];

/** Kinds of what a point is found by, in peer.proto: bytes are what ranks tell each other, integers are not yet summed. */
const [floatWireTypes, bytesWireType, integerWireType] = [[1, 2], 3, 4];
/** Rounds of an all-reduce where vectors lie in shared memory, in which ranks wait for each other (shared-sum.ts). */
const waits = 4n;

/** What a rank tells the coordinator of its generation. */
const reports = ['ready', 'stepCommitted', 'evaluation', 'epochCompleted', 'finished', 'standby'];

if (isMainThread && process.argv.includes('join')) {
  const id = process.argv[process.argv.indexOf('--id') + 1];
  if (faults.some(({ worker }) => worker === id)) install(id);
}

function install(id) {
  let steps = 0;
  /** Which one comes next, and whether others are there for it. */
  let [since, met] = [0, true];
  const next = () => {
    const index = faults.findIndex(({ file }) => !existsSync(file));
    if (index > since) [since, met, steps] = [index, false, 0];
    return faults[index];
  };
  const reach = (name) => {
    const found = next();
    if (found?.worker !== id || found.point !== name) return;
    if ((met || early.includes(name)) && isFirst(found.file)) commit(found);
  };
  const whole = faults.find(({ worker }) => worker === id);
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (message, ...more) {
    if (message?.name === 'open') reach('joining');
    if (message?.name === 'gradientPart' && steps === stepsBefore) reach('compute');
    if (message?.name === 'apply') {
      if (steps === stepsBefore) reach('apply');
      steps += 1;
    }
    if (message?.name === 'evaluate') reach('evaluate');
    return postMessage.call(this, message, ...more);
  };
  const pass = ({ wireType, round }) => {
    next();
    if (steps > 0) met = true;
    if (steps !== stepsBefore) return;
    // Where vectors lie in shared memory, ranks only meet: before summing, after it, and after taking the sums.
    if (wireType === bytesWireType && round % waits === 1n) reach('reduce-scatter');
    if (wireType === bytesWireType && round % waits === 3n) reach('all-gather');
    // Elsewhere they pass on what they add, then what is added.
    if (wireType === integerWireType) reach('reduce-scatter');
    if (floatWireTypes.includes(wireType)) reach('all-gather');
  };
  const { write } = Socket.prototype;
  Socket.prototype.write = function (bytes, ...more) {
    const wireType = wireTypeOf(bytes);
    // What goes over a connection of its own is never where vectors only meet.
    if (wireType !== null && wireType !== bytesWireType) pass({ wireType });
    return write.call(this, bytes, ...more);
  };
  const load = createRequire(import.meta.url);
  const { ServerWritableStreamImpl } = load('@grpc/grpc-js/build/src/server-call.js');
  const { ClientDuplexStreamImpl, ClientReadableStreamImpl } = load('@grpc/grpc-js/build/src/call.js');
  const { _write } = ServerWritableStreamImpl.prototype;
  ServerWritableStreamImpl.prototype._write = function (chunk, ...more) {
    if (chunk?.part?.$case === 'data') reach('checkpoint');
    if (isState(chunk)) reach('copied from');
    if (chunk?.round !== undefined) pass(chunk);
    if (whole.fault === 'slow link' && chunk?.round !== undefined) {
      isFirst(whole.file);
      setTimeout(() => _write.call(this, chunk, ...more), slowMs);
      return;
    }
    _write.call(this, chunk, ...more);
  };
  const { push } = ClientReadableStreamImpl.prototype;
  ClientReadableStreamImpl.prototype.push = function (chunk, ...more) {
    if (isState(chunk)) reach('copying');
    return push.call(this, chunk, ...more);
  };
  const { _write: tell } = ClientDuplexStreamImpl.prototype;
  ClientDuplexStreamImpl.prototype._write = function (chunk, encoding, done) {
    const { $case, value } = chunk?.message ?? {};
    if (whole.fault !== 'stale generation' || !reports.includes($case) || value.generation < 2n) {
      tell.call(this, chunk, encoding, done);
      return;
    }
    isFirst(whole.file);
    const stale = { message: { $case, value: { ...value, generation: value.generation - 1n } } };
    tell.call(this, stale, encoding, () => tell.call(this, chunk, encoding, done));
  };
  // A fifth of a core: stopped for 80 ms of every 100.
  if (whole.fault === 'CPU share' && isFirst(whole.file)) {
    const script = `while kill -STOP ${process.pid}; do sleep 0.08; kill -CONT ${process.pid}; sleep 0.02; done`;
    inBackground(script);
  }
}

/** Of a chunk of the ring as worker/collective/codec/wire-format.ts writes it; null for other bytes. */
function wireTypeOf(bytes) {
  const isChunk = bytes?.[0] === 0x08 && bytes[9] === 0x10 && bytes[35] === 0x30 && bytes[37] === 0x3a;
  return isChunk ? bytes[36] : null;
}

/** A piece of a state, or word of one that lies in shared memory. */
function isState(chunk) {
  return ['data', 'written'].includes(chunk?.part?.$case);
}

function isFirst(file) {
  try {
    closeSync(openSync(file, 'wx'));
    return true;
  } catch {
    return false;
  }
}

function commit({ fault, seconds = stopSeconds }) {
  if (fault === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
  if (fault === 'SIGTERM') process.kill(process.pid, 'SIGTERM');
  if (fault === 'coordinator') process.kill(process.ppid, 'SIGKILL');
  if (fault === 'one way' || fault === 'both ways') cutOff(fault);
  if (fault === 'SIGSTOP') {
    inBackground(`sleep ${seconds}; kill -CONT ${process.pid}`);
    process.kill(process.pid, 'SIGSTOP');
  }
}

/**
 * Of the machine that this process is on (a network namespace of bench/support/network.ts): a queue that holds no
 * packet drops whatever the link's end sends, and the switch's end sends what this machine would hear.
 */
function cutOff(fault) {
  const namespace = run('ip netns identify').trim();
  const [, network, rank] = /^(.+-)(\d+)$/.exec(namespace);
  const here = { tc: 'tc', device: 'eth0' };
  const there = { tc: `tc -n ${network}switch`, device: `port${rank}` };
  const ends = fault === 'one way' ? [here] : [here, there];
  for (const { tc, device } of ends) run(`${tc} qdisc replace dev ${device} root bfifo limit 1`);
  const mend = ends.map(({ tc, device }) => `${tc} qdisc delete dev ${device} root`).join('; ');
  inBackground(`sleep ${cutSeconds}; ${mend}`);
}

function run(line) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
  return stdout;
}

/** The shell that starts it ends at once, so that it is nobody's child here. */
function inBackground(script) {
  spawnSync('sh', ['-c', `(${script}) >/dev/null 2>&1 &`]);
}
