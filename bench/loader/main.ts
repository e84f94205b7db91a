// `npm run bench -- loader`: images per second from a folder of JPEG files to presized pixels in
// micro-batches, in the first epoch and in later ones, and with --peers beside PIL and torchvision with as
// many processes as Rondo's workers have threads.
import os from 'node:os';
import path from 'node:path';
import { decoderVersion } from '../../runtime/images.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { makePictures } from '../support/pictures.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { parseLoaderArguments } from './arguments.js';
import { openPeer } from './peer.js';
import { formatReport, type LoaderReport, summarize } from './report.js';
import { openRondo } from './rondo.js';
import type { Pictures, Speeds } from './task.js';

await runMain(async (args) => {
  const { images, presize, microBatch, workers, rounds, ...o } = parseLoaderArguments(args);
  const peers = await findPeers(o.peers, ['torch', 'torchvision', 'PIL']);
  const files = await makePictures(path.join(os.tmpdir(), 'rondo-bench-pictures'), images);
  const pictures: Pictures = { files, presize, microBatch, workers };
  const implementations = [openRondo(pictures), ...(peers === null ? [] : [openPeer(pictures)])];
  let speeds: Speeds[][];
  try {
    // Processes are started and code is compiled in the first round.
    for (const implementation of implementations) await implementation.measure();
    speeds = await takeTurns(implementations, rounds, (implementation) => implementation.measure());
  } finally {
    await Promise.all(implementations.map((implementation) => implementation.close()));
  }
  const report: LoaderReport = {
    ...{ bench: 'loader', images, presize, microBatch, workers, rounds },
    ...{ environment: describeEnvironment(), versions: { decoder: decoderVersion, ...peers } },
    results: summarize(speeds),
  };
  publish(report, formatReport(report), o.json);
});
