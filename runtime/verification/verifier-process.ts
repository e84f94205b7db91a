import { createDecodePool } from '../images.js';
import { serveProcess } from '../thread-calls.js';
import type { VerifierOperations } from './verifiers.js';
import { verifyImage } from './verify-image.js';

// The program of a process that `openVerifiers` starts.

const pool = createDecodePool();
serveProcess<VerifierOperations>({
  begin() {},
  verify: (image) => verifyImage(image, pool),
});
