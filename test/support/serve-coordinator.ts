import { listen } from '../../coordinator/cluster/listen.js';
import { createSessions } from '../../coordinator/cluster/session-service.js';
import { createTransfers, type TransferSources } from '../../coordinator/cluster/transfers.js';
import type { GrpcServer } from '../../runtime/grpc/server.js';
import { testCredentials } from './credentials.js';

/**
 * The coordinator's service without a cluster behind it: what workers can fetch, and a session nobody hears.
 */
export function serveCoordinator(
  address: string,
  sources: Partial<TransferSources> = {},
): Promise<GrpcServer> {
  const sessions = createSessions({ message: () => {}, closed: () => {} }, 5_000);
  const nothing: TransferSources = {
    dataset: { root: '/', classes: [], train: [], valid: [], digest: '' },
    pretrainedPath: null,
    checkpoint: async function* () {},
  };
  const transfers = createTransfers({ ...nothing, ...sources }, 60_000);
  return listen(
    { listen: address, credentials: testCredentials },
    {
      session: sessions.handler,
      ...transfers,
    },
  );
}
