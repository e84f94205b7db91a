// `npm run bench -- NAME [options]`. Every bench is a program of its own, bench/NAME/main.ts, that reads its
// options from process.argv and prints a table and one line of JSON.
import { RondoError } from '../runtime/errors.js';
import { runMain } from './support/run-main.js';

const benches: Readonly<Record<string, () => Promise<unknown>>> = {
  'all-reduce': () => import('./all-reduce/main.js'),
  device: () => import('./device/main.js'),
  loader: () => import('./loader/main.js'),
  overlap: () => import('./overlap/main.js'),
  predict: () => import('./predict/main.js'),
  scale: () => import('./scale/main.js'),
  scaling: () => import('./scaling/main.js'),
  'start-up': () => import('./start-up/main.js'),
  shards: () => import('./shards/main.js'),
  step: () => import('./step/main.js'),
  volume: () => import('./volume/main.js'),
};

const usage = `Usage: npm run bench -- ${Object.keys(benches).join(' | ')} [options]
bench/README.md says what each measures and how to read it; a wrong option names the right ones.`;

await runMain(async ([name]) => {
  if (name === undefined || name === '--help' || name === '-h') return console.log(usage);
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined) {
    throw new RondoError('invalid-argument', `there is no bench ${name}`, { remedy: usage });
  }
  process.argv.splice(2, 1);
  await load();
});
