/** What stops the set-up: `message` names the cause, `remedy` what the reader can do about it. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} remedy
   */
  constructor(message, remedy) {
    super(message);
    this.name = 'SetupError';
    this.remedy = remedy;
  }
}

/**
 * What a person is told of an error: the cause, and the remedy where there is one.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function describeError(error) {
  if (error instanceof SetupError) return `${error.message}\n  → ${error.remedy}`;
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC') return `${error.message}\n  → The disk is full: make room, then run it again.`;
  if (code === 'EACCES' || code === 'EROFS') {
    return `${error.message}\n  → This folder cannot be written to: change its owner, or set RONDO_CACHE to another.`;
  }
  return error.stack ?? error.message;
}
