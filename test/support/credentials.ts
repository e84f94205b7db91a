import { tokenCredentials } from '../../runtime/grpc/credentials.js';

/** Of all runs in tests. */
export const testToken = 'token-of-the-tests';
export const testCredentials = tokenCredentials(testToken);
