// Stands in for the worker program's `job` command: does what its request says.
import { text } from 'node:stream/consumers';

const [, , command, name] = process.argv;
const request = JSON.parse(await text(process.stdin));
for (const line of request.say ?? [])
  process.stdout.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
if (request.complain) process.stderr.write(request.complain);
if (request.tell) {
  const { TF_NUM_INTRAOP_THREADS: threads, TF_NUM_INTEROP_THREADS: interop } = process.env;
  process.stdout.write(`${JSON.stringify({ kind: 'result', value: { command, name, threads, interop } })}\n`);
}
if (request.hang) {
  process.stdout.write(`${JSON.stringify({ kind: 'item', value: { pid: process.pid } })}\n`);
  setInterval(() => {}, 1000);
} else process.exit(request.code ?? 0);
