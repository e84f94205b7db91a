#!/usr/bin/env node
// The containers' health command: `health [PORT]` asks the program's own /healthz (--health), 8080 unless told otherwise.
const port = process.argv[2] ?? '8080';
try {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(5_000) });
  console.log(`${response.status} ${(await response.text()).trim()}`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.log(`no answer on port ${port}: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
