import { tokenCredentials } from '../../runtime/grpc/credentials.js';

/** Of the processes of a bench, which hold nothing that is worth a secret. */
export const benchToken = 'the-token-of-every-bench';
export const benchCredentials = tokenCredentials(benchToken);
