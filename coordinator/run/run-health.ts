import { serveHealth } from '../../runtime/health.js';
import type { RunControl } from '../cluster/control.js';
import type { RunEvent } from '../telemetry/run-events.js';

/** What is served of a run to probes and to Prometheus. */
export interface RunHealth {
  /** HOST:PORT. */
  readonly address: string;
  hear(event: RunEvent): void;
  onControl(control: RunControl): void;
  close(): void;
}

/** Workers may come from this event on. */
const openKinds: ReadonlySet<RunEvent['kind']> = new Set(['waiting', 'summary']);

/** Serves at `address`, HOST:PORT. @throws RondoError failed-precondition when that is not possible. */
export async function openRunHealth(address: string, nowMs: () => number): Promise<RunHealth> {
  // Loaded where it is asked for alone.
  const { openPrometheusSink } = await import('../telemetry/prometheus.js');
  let control: RunControl | null = null;
  let isOpen = false;
  let doing = 'it starts';
  const sink = openPrometheusSink({
    nowMs,
    status() {
      try {
        return control?.status() ?? null;
      } catch {
        // Of a run that has ended, or not begun.
        return null;
      }
    },
  });
  const server = await serveHealth(address, {
    metrics: sink.registry,
    waitsFor: () => (isOpen ? null : doing),
  });
  return {
    address: server.address,
    hear(event) {
      sink.hear(event);
      if (event.kind === 'dataset') doing = `${event.phase} ${event.subject ?? 'images'}`;
      if (openKinds.has(event.kind)) isOpen = true;
    },
    onControl(opened) {
      control = opened;
    },
    close: server.close,
  };
}
