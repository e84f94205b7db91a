import path from 'node:path';
import { createDeferred } from '../../runtime/deferred.js';
import type { ReadFile } from '../../runtime/read-file.js';
import { openVerifiers, type Verifiers, verifyHere } from '../../runtime/verification/verifiers.js';
import type { Finding, Verdict } from '../../runtime/verification/verify-image.js';
import { createFileQueue } from './file-queue.js';
import type { ImageFile } from './image-files.js';
import { openVerificationRecord } from './verification-record.js';

const [manyFiles, manyBytes] = [4_000, 256 << 20];

/** Less is decoded by this process itself, in about the time that another one takes to start. */
export function isMuch(files: number, bytes: number): boolean {
  return files >= manyFiles || bytes >= manyBytes;
}

/** Who looks at images of a folder. */
export interface FolderVerifier {
  /** So many at a time keep it busy. */
  readonly width: number;
  /** Rejects when it is lost: others look at what it had in hand. */
  verify(root: string, file: ImageFile): Promise<Verdict>;
}

/** Those elsewhere who help: workers that wait for a run to begin. */
export interface VerificationHelpers {
  /** Calls `onHelper` for each, now and as they come, until the function is called that it returns. */
  attend(onHelper: (helper: FolderVerifier) => void): Promise<() => void>;
}

export interface VerifyOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(done: number, total: number): void;
  /** Asked for help where there is much to do. */
  readonly helpers?: VerificationHelpers | undefined;
  /** The file system; tests bring one with faults. */
  readonly read?: ReadFile;
  /** Those of this machine, where there is much to do; opened for this pass unless given. */
  readonly verifiers?: Verifiers;
}

/**
 * Decodes every file once and tells its size and digest, or why it cannot be used. Many files are divided among
 * processes of this machine and those who help; who is slow or lost holds up nobody, for others look at what it had in
 * hand. What decoding found is kept in `cacheDir`, also what was found before the signal stopped the pass; files that
 * did not change since are not read again. That a file could not be read is not kept: the next time it may be.
 */
export async function verifyImages(
  root: string,
  files: readonly ImageFile[],
  o: VerifyOptions,
): Promise<ReadonlyMap<ImageFile, Finding>> {
  const record = openVerificationRecord(root, o.cacheDir);
  const findings = await record.read(files);
  /** Those that may be otherwise the next time. */
  const passing = new Set<ImageFile>();
  const unknown = files.filter((file) => !findings.has(file));
  o.onProgress(findings.size, files.length);
  if (unknown.length === 0) return findings;
  const queue = createFileQueue<ImageFile, FolderVerifier>(unknown);
  const ended = createDeferred<void>();
  const end = () => ended.resolve();
  const work = async (verifier: FolderVerifier, isOwn: boolean): Promise<void> => {
    for (;;) {
      const file = o.signal.aborted ? undefined : queue.take(verifier, isOwn);
      if (file === undefined) return;
      const { finding, lasting: lasts } = await verifier.verify(root, file).catch((error: unknown) => {
        queue.giveBack(file, verifier);
        throw error;
      });
      if (!queue.finish(file)) continue;
      findings.set(file, finding);
      if (!lasts) passing.add(file);
      o.onProgress(findings.size, files.length);
      if (findings.size === files.length) end();
    }
  };
  const workers = (verifier: FolderVerifier, isOwn: boolean) =>
    Promise.all(Array.from({ length: verifier.width }, () => work(verifier, isOwn)));

  const bytes = unknown.reduce((sum, { size }) => sum + size, 0);
  const isShared = isMuch(unknown.length, bytes);
  const given = isShared ? o.verifiers : undefined;
  const own = given ?? (isShared && o.read === undefined ? openVerifiers() : verifyHere(o));
  o.signal.addEventListener('abort', end, { once: true });
  let dismiss: (() => void) | undefined;
  try {
    const verify: FolderVerifier['verify'] = (root, { path: name, size }) =>
      own.verify({ file: path.join(root, name), size });
    workers({ width: own.width, verify }, true).catch(ended.reject);
    // What a helper had in hand when it was lost is given to others.
    const onHelper = (helper: FolderVerifier) => void workers(helper, false).catch(() => {});
    if (isShared) dismiss = await o.helpers?.attend(onHelper);
    await ended.promise;
  } finally {
    dismiss?.();
    o.signal.removeEventListener('abort', end);
    if (given === undefined) await own.close();
  }
  // The record only saves time, so a cache folder that cannot be written to is no reason to stop.
  await record.save(findings, passing).catch(() => {});
  o.signal.throwIfAborted();
  return findings;
}
