// `npm run bench -- NAME [options]`. Every bench is a program of its own, bench/NAME/main.ts, that reads its options
// from process.argv and prints a table and one line of JSON.
import { RondoError } from '../runtime/errors.js';
import { runMain } from './support/run-main.js';

const benches: Readonly<Record<string, () => Promise<unknown>>> = {
  'all-reduce': () => import('./all-reduce/main.js'),
  loader: () => import('./loader/main.js'),
  step: () => import('./step/main.js'),
};

await runMain(async ([name]) => {
  const load = Object.hasOwn(benches, name ?? '') ? benches[name] : undefined;
  if (load === undefined) {
    const remedy = `Usage: npm run bench -- ${Object.keys(benches).join(' | ')} [options]`;
    throw new RondoError('invalid-argument', `there is no bench ${name ?? 'without a name'}`, { remedy });
  }
  process.argv.splice(2, 1);
  await load();
});
