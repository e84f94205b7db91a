// `npm run bench -- loader`: images per second from a folder of JPEG files to presized pixels in micro-batches, in the first epoch
// and in later ones, and with --peers beside PIL and torchvision with as many processes as a worker has threads.
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../../coordinator/cluster/worker-environment.js';
import { decoderVersion } from '../../runtime/images.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { type LineProcess, openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { makePictures } from '../support/pictures.js';
import { publish } from '../support/publish.js';
import { python } from '../support/python.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { parseLoaderArguments } from './arguments.js';
import { formatReport, type LoaderReport } from './report.js';
import type { Pictures, Speeds } from './task.js';

await runMain(async (args) => {
  const { images, presize, microBatch, threads, rounds, ...o } = parseLoaderArguments(args);
  const peers = await findPeers(o.peers, ['torch', 'torchvision', 'PIL']);
  const files = await makePictures(path.join(os.tmpdir(), 'rondo-bench-pictures'), images);
  const pictures: Pictures = { files, presize, microBatch, threads };
  const contestants = [openRondo(pictures), ...(peers === null ? [] : [openPeer(pictures)])];
  let speeds: Speeds[][];
  try {
    // Processes are started and code is compiled in the first round.
    for (const contestant of contestants) await contestant.ask<Speeds>({});
    speeds = await takeTurns(contestants, rounds, (contestant) => contestant.ask<Speeds>({}));
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.close()));
  }
  const report: LoaderReport = {
    ...{ bench: 'loader', images, presize, microBatch, threads, rounds },
    ...{ environment: describeEnvironment(), versions: { decoder: decoderVersion, ...peers }, speeds },
  };
  publish(report, formatReport(report), o.json);
});

/** A worker's loader, with a worker's environment. */
function openRondo(pictures: Pictures): LineProcess {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  const env = workerEnvironment(process.env, { index: 0, threads: pictures.threads, gpus: [] });
  return openLineProcess(process.execPath, [script, JSON.stringify(pictures)], env);
}

/** PIL and torchvision; they decode anew in every epoch. */
function openPeer(pictures: Pictures): LineProcess {
  return openLineProcess(python, [peerScript('loader', 'peer.py'), JSON.stringify(pictures)]);
}
