import { createLogUpdate } from 'log-update';
import { printableJson, printableLines, writeLines } from '../../runtime/printable.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { logEvent } from '../telemetry/run-events.js';
import { renderEvent } from './event-lines.js';
import { advance, initialProgress, renderDataset, renderLive, renderTraining } from './progress.js';

/** Tells a person, or a program, what happens. */
export interface Reporter {
  report(event: RunEvent): void;
  /** Leaves the terminal as a shell expects it. Safe to call twice. */
  close(): void;
}

/** Where a reporter writes: standard output, or a test's. */
export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

interface TextOutput {
  write(text: string): unknown;
}

const redrawMs = 100;
const plainProgressMs = 30_000;
const jsonProgressMs = 1_000;
const defaultColumns = 80;

export function openReporter(output: Output, { json }: { json: boolean }, nowMs: () => number): Reporter {
  const { report, close } = openOutput(output, json, nowMs);
  return {
    report(event) {
      logEvent(event);
      report(event);
    },
    close,
  };
}

function openOutput(output: Output, json: boolean, nowMs: () => number): Reporter {
  if (json) return openJsonReporter(output, nowMs);
  return output.isTTY ? openLiveReporter(output, nowMs) : openPlainReporter(output, nowMs);
}

/** One JSON object per line, and nothing else. */
export function openJsonReporter(output: TextOutput, nowMs: () => number): Reporter {
  const mayRepeat = createThrottle(jsonProgressMs, nowMs);
  return {
    report(event) {
      if (
        event.kind === 'dataset' &&
        !mayRepeat(`${event.phase} ${event.subject}`, event.done === event.total)
      )
        return;
      output.write(`${printableJson(event)}\n`);
    },
    close() {},
  };
}

/** Lines for a file or a pipe: what lasts, and now and then how far it is. */
export function openPlainReporter(output: TextOutput, nowMs: () => number): Reporter {
  let state = initialProgress;
  const mayRepeat = createThrottle(plainProgressMs, nowMs);
  return {
    report(event) {
      state = advance(state, event, nowMs());
      const lines = renderEvent(event);
      const counted = event.kind === 'dataset' && event.total > 0;
      if (counted && mayRepeat(`${event.phase} ${event.subject}`, event.done === event.total)) {
        lines.push(renderDataset(state.dataset!, nowMs()));
      }
      if (event.kind === 'step' && mayRepeat('step', false)) lines.push(renderTraining(state));
      writeLines(output, lines);
    },
    close() {},
  };
}

/** A terminal: what lasts scrolls up, the last line shows how far it is. */
function openLiveReporter(output: Output, nowMs: () => number): Reporter {
  let state = initialProgress;
  const log = createLogUpdate(output);
  let drawn = '';
  const draw = () => {
    // A terminal that does not know its width says 0.
    const text = renderLive(state, nowMs(), output.columns || defaultColumns).join('\n');
    if (text === drawn) return;
    drawn = text;
    log(printableLines(text));
  };
  const timer = setInterval(draw, redrawMs).unref();
  let open = true;
  return {
    report(event) {
      state = advance(state, event, nowMs());
      const lines = renderEvent(event, output.columns || defaultColumns);
      if (!open || lines.length === 0) return;
      log.clear();
      drawn = '';
      writeLines(output, lines);
      draw();
    },
    close() {
      if (!open) return;
      open = false;
      clearInterval(timer);
      log.clear();
      log.done();
    },
  };
}

/** True for the first of a kind, for those that must be said, and for others once per interval. */
function createThrottle(intervalMs: number, nowMs: () => number) {
  const saidAtMs = new Map<string, number>();
  return (kind: string, must: boolean): boolean => {
    const before = saidAtMs.get(kind);
    if (!must && before !== undefined && nowMs() - before < intervalMs) return false;
    saidAtMs.set(kind, nowMs());
    return true;
  };
}
