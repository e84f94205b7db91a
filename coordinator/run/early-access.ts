import type { VerifierServer } from '../cluster/remote-verifiers.js';
import { isLocal, type RunAccess } from '../cluster/run-access.js';
import type { VerificationHelpers } from '../dataset/verify.js';
import type { RuntimeOptions } from '../options/start-config.js';
import type { RunDirectory } from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { announce } from './announce.js';
import type { RunServices } from './services.js';

/** A run that workers may join before its data set is known: they help to verify images, then wait for it to begin. */
export interface EarlyAccess {
  readonly access: RunAccess;
  readonly server: VerifierServer;
}

/** Listens when there are many images to verify, and not before. */
export interface EarlyHelp extends VerificationHelpers {
  /** Null where nobody was asked for help. */
  opened(): Promise<EarlyAccess | null>;
  /** For a run that does not begin. */
  close(): Promise<void>;
}

/** Whether workers of other machines may join: those of this one share its cores. */
export function mayBeHelped(
  runtime: Pick<RuntimeOptions, 'listen' | 'advertise' | 'localWorkers' | 'maxWorkers'>,
): boolean {
  return runtime.localWorkers < runtime.maxWorkers && !isLocal(runtime);
}

/** @param begin makes the run's folder, where its members' identity lies. */
export function offerHelp(
  runtime: RuntimeOptions,
  o: {
    readonly services: Pick<RunServices, 'openAccess' | 'serveVerifiers'>;
    begin(): RunDirectory;
    report(event: RunEvent): void;
  },
): EarlyHelp {
  let opening: Promise<EarlyAccess> | null = null;
  const open = async (): Promise<EarlyAccess> => {
    const { runId, identity, token } = o.begin();
    const access = await o.services.openAccess({ ...runtime, runId, folder: identity });
    try {
      const server = await o.services.serveVerifiers({ listen: runtime.listen, access });
      await announce({ ...runtime, access, identity, tokenFile: token, bound: server.address }, o.report);
      return { access, server };
    } catch (error) {
      access.close();
      throw error;
    }
  };
  return {
    async attend(onHelper) {
      opening ??= open();
      return (await opening).server.attend(onHelper);
    },
    opened: async () => opening,
    async close() {
      const opened = await opening?.catch(() => null);
      opened?.access.close();
      opened?.server.destroy();
    },
  };
}
