/**
 * @typedef {object} Report
 * @property {(text: string) => void} say A line of its own.
 * @property {(text: string) => void} progress How far something long is: rewrites one line on a terminal;
 *   elsewhere, where lines pile up, at most one line per five seconds.
 * @property {() => void} endProgress
 */

const quietMs = 5_000;

/**
 * @param {NodeJS.WriteStream} stream
 * @param {() => number} [now] milliseconds
 * @returns {Report}
 */
export function createReport(stream, now = Date.now) {
  let open = false;
  let lastMs = Number.NEGATIVE_INFINITY;

  function endProgress() {
    if (open) stream.write('\n');
    open = false;
    lastMs = Number.NEGATIVE_INFINITY;
  }

  return {
    endProgress,
    say(text) {
      endProgress();
      stream.write(`${text}\n`);
    },
    progress(text) {
      if (stream.isTTY) {
        stream.write(`\r\u001b[K${text}`);
        open = true;
      } else if (now() - lastMs >= quietMs) {
        stream.write(`${text}\n`);
        lastMs = now();
      }
    },
  };
}

/**
 * @param {number} ms
 * @returns {string} as in `0.42 s` or `1 min 12 s`
 */
export function formatDuration(ms) {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/**
 * @param {number} bytes
 * @returns {string} as in `260 MB`
 */
export function formatBytes(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
