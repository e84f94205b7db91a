// `npm run bench -- device`: whether this machine's device computes what a CPU does, whether it repeats
// itself, how fast it is beside PyTorch, and what the way to it costs. Made for a machine that is at hand for
// a quarter of an hour: --minutes bounds it, and the file of the report holds what was measured until then.
import type { z } from 'zod';
import { findGpus } from '../../coordinator/launch/gpus.js';
import { RondoError } from '../../runtime/errors.js';
import { precisionEnvironment } from '../compute/implementation.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import type { LineProcess } from '../support/line-process.js';
import { keepReport, publish, reportFile } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { type DeviceArguments, parseDeviceArguments } from './arguments.js';
import { compareCase } from './compare-case.js';
import type { CaseFigures } from './figures.js';
import { answerSchemas, type Place, type Question, script } from './place.js';
import { probeDevice } from './probe.js';
import { type DeviceReport, formatReport } from './report.js';
import { measureSpeed } from './speed.js';
import { readStored, storedNetwork, writeStored } from './stored.js';

await runMain(async (args) => {
  const o = parseDeviceArguments(args);
  const place: Place = {
    ...storedNetwork,
    threads: o.threads,
    device: 'cpu',
    precision: 'float32',
  };
  if (o.store !== null) {
    const figures = await ask({ ...place, precision: 'float64' }, answerSchemas.case, { kind: 'case' });
    return writeStored(o.store, figures);
  }
  const file = o.json ? undefined : reportFile('device');
  const report = await measure(o, place, (part) => file && keepReport(file, part));
  publish(report, formatReport(report), o.json, file);
  if (!report.passed) process.exitCode = 1;
});

/** What matters most comes first; `keep` is given what there is after each part. */
async function measure(
  o: DeviceArguments,
  base: Place,
  keep: (report: DeviceReport) => void,
): Promise<DeviceReport> {
  const endMs = performance.now() + 60_000 * o.minutes;
  const wanted = o.device === 'gpu' || (o.device === 'auto' && findGpus().length > 0);
  say('looking for the device');
  const probe = await probeDevice(wanted, base);
  if (probe.obstacles.length > 0 && o.device === 'gpu') {
    throw new RondoError('failed-precondition', `TensorFlow takes no GPU:\n${probe.obstacles.join('\n')}`, {
      remedy: 'The lines above name what it misses; --device cpu measures the CPU.',
    });
  }
  const place = { ...base, device: probe.device };
  const stored = readStored();
  const peers = await findPeers(o.peers, ['torch', 'torchvision']);
  let report: DeviceReport = {
    ...{ bench: 'device', environment: describeEnvironment(), probe, size: o.size, peers, passed: true },
    ...{ correctness: [], repeatability: [], speeds: [], handOver: null, leftOut: [] },
  };
  const hasTime = () => performance.now() < endMs;
  const part = async (name: string, work: () => Promise<Partial<DeviceReport>>) => {
    if (!hasTime()) {
      report = { ...report, leftOut: [...report.leftOut, name] };
    } else {
      say(name);
      report = { ...report, ...(await work()) };
      report = { ...report, passed: hasPassed(report) };
    }
    keep(report);
  };

  for (const precision of o.precisions) {
    await part(`${precision}: comparing with the stored results`, async () => {
      const [found, one, other] = await inTwoProcesses({ ...place, precision });
      const compared = compareCase(precision, found, stored);
      const repeated = { precision, sameBits: one === other };
      return {
        correctness: [...report.correctness, compared],
        repeatability: [...report.repeatability, repeated],
      };
    });
  }
  for (const precision of o.precisions) {
    await part(`${precision}: measuring images/s`, async () => {
      const { arch, classes } = storedNetwork;
      const network = { arch, classes, size: o.size } as const;
      const setting = { ...network, threads: o.threads, device: probe.device, input: 'pixels' } as const;
      const speeds = await measureSpeed(precision, { ...o, setting, withTorch: peers !== null, hasTime });
      return { speeds: [...report.speeds, ...speeds] };
    });
  }
  await part('measuring the hand-over', async () => {
    const batch = o.batches[0]!;
    const times = await ask(place, answerSchemas.handOver, {
      kind: 'handOver',
      batch,
      rounds: 3 * o.repeats,
    });
    return { handOver: { batch, times } };
  });
  return report;
}

function hasPassed({ correctness, repeatability }: DeviceReport): boolean {
  const right = correctness.every(({ kinds }) => kinds.every(({ met }) => met));
  return right && repeatability.every(({ sameBits }) => sameBits);
}

/** The case as one of two processes computes it, and both of their digests. */
async function inTwoProcesses(place: Place): Promise<readonly [CaseFigures, string, string]> {
  const pair = [openProcess(place), openProcess(place)] as const;
  try {
    const digests = await Promise.all(pair.map((each) => each.ask(answerSchemas.digest, { kind: 'digest' })));
    const figures = await pair[0].ask(answerSchemas.case, { kind: 'case' });
    return [figures, digests[0]!.sha256, digests[1]!.sha256];
  } finally {
    await Promise.all(pair.map((each) => each.close()));
  }
}

/** Asks a process of its own. */
async function ask<Answer>(place: Place, answer: z.ZodType<Answer>, question: Question): Promise<Answer> {
  const opened = openProcess(place);
  try {
    return await opened.ask(answer, question);
  } finally {
    await opened.close();
  }
}

function openProcess(place: Place): LineProcess {
  const { threads, device, precision } = place;
  const exact = precision === 'float64' ? {} : precisionEnvironment({ precision, device });
  const env = { ...process.env, ...exact };
  return openWorkerProcess(
    script,
    place,
    { index: 0, threads, gpus: device === 'gpu' ? ['0'] : [] },
    { env },
  );
}

function say(text: string): void {
  console.error(`device: ${text} …`);
}
