// A worker program for the launcher's tests: reports how it was started, then does what RONDO_TEST_ROLE says.
import { writeFileSync } from 'node:fs';

const role = process.env.RONDO_TEST_ROLE;
const id = process.argv[process.argv.indexOf('--id') + 1];
const names = [
  'TF_NUM_INTRAOP_THREADS',
  'TF_NUM_INTEROP_THREADS',
  'OMP_NUM_THREADS',
  'UV_THREADPOOL_SIZE',
  'CUDA_VISIBLE_DEVICES',
  'RONDO_TOKEN',
];
const environment = Object.fromEntries(names.map((name) => [name, process.env[name]]));
console.log(`${id} speaks`);
console.error(`${id} complains`);

if (role === 'die' && id === 'worker-1') {
  for (let line = 0; line < 40; line += 1) console.error(`trouble ${line}`);
  process.exit(3);
}
if (role === 'stubborn') process.on('SIGTERM', () => console.log(`${id} will not go`));
if (role === 'polite') process.on('SIGTERM', () => process.exit(0));
setInterval(() => {}, 1_000);
// Last, so that whoever reads it knows that the signal handlers are in place.
const { execArgv, pid } = process;
const report = { nodeArguments: execArgv, arguments: process.argv.slice(2), environment, pid };
writeFileSync(`${process.env.RONDO_TEST_FOLDER}/${id}.json`, JSON.stringify(report));
if (role === 'finish') process.exit(0);
