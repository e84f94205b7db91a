import { openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { python } from '../support/python.js';
import { type Implementation, type Pictures, speedsSchema } from './task.js';

/** PIL and torchvision behind one DataLoader, which decodes in every epoch. */
export function openPeer({ files, presize, microBatch, workers }: Pictures): Implementation {
  const setting = { files, presize, microBatch, processes: workers.processes * workers.threads };
  const loader = openLineProcess(python, [peerScript('loader', 'peer.py'), JSON.stringify(setting)]);
  return { measure: () => loader.ask(speedsSchema, {}), close: loader.close };
}
