import type { RunControl, RunLog, Scaling } from '../cluster/control.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { RunServices } from './services.js';

/** What a run is trained with. */
export interface TrainContext {
  readonly services: RunServices;
  report(event: RunEvent): void;
  /**
   * Aborts to finish the step and end; then, `immediate`, to end at once. `handover`: this process ends at once, and
   * another takes its place.
   */
  readonly signals: {
    readonly signal: AbortSignal;
    readonly immediate: AbortSignal;
    readonly handover?: AbortSignal;
  };
  /** Hears how the run can be asked what it is at, once it can. */
  onControl?(control: RunControl): void;
  /** What it says, for those who ask from elsewhere. */
  readonly log: RunLog;
  /** Changes how many workers are started elsewhere; where it is given, none are here. */
  scale?(workers: number): Promise<Scaling>;
  /** The command that goes on with this run. */
  readonly resume: string;
}
