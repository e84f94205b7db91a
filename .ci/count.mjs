import { readFileSync } from 'node:fs';

// A test file that cannot be loaded holds no tests that could fail: it counts as one failure.
const [report, checksFailed] = process.argv.slice(2);
const results = read(report);
const broken = (results?.testResults ?? []).filter(
  (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
);
const passed = results?.numPassedTests ?? 0;
const failed = (results?.numFailedTests ?? 0) + broken.length + Number(checksFailed);
const ended = results !== undefined && (results.success || failed > 0);
console.log(`${passed} passed, ${ended ? failed : failed + 1} failed`);
process.exitCode = ended && failed === 0 && passed > 0 ? 0 : 1;

/** @param {string | undefined} file */
function read(file) {
  try {
    return JSON.parse(readFileSync(String(file), 'utf8'));
  } catch {
    return undefined;
  }
}
