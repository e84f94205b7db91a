import { printableJson } from '../../runtime/printable.js';
import type { KeptLines, RunLog } from '../cluster/control.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { openJsonReporter, openPlainReporter } from './reporter.js';

/** Some hundred kilobytes. */
export const mostLines = 2_000;

export interface RunLogKeeper extends RunLog {
  hear(event: RunEvent): void;
}

/** Keeps what a run says, as it goes into a file and as `--json` has it, for those who ask from elsewhere. */
export function keepRunLog(nowMs: () => number): RunLogKeeper {
  const [texts, events] = [keepLines(), keepLines()];
  const reporters = [openPlainReporter(texts, nowMs), openJsonReporter(events, nowMs)];
  const listeners = new Set<() => void>();
  let isOver = false;
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };
  return {
    get isOver() {
      return isOver;
    },
    kept: (json) => (json ? events : texts),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    hear(event) {
      if (isOver) return;
      for (const { report } of reporters) report(withoutToken(event));
      tell();
    },
    end(reason) {
      if (isOver) return;
      isOver = true;
      texts.write(`${reason}\n`);
      events.write(`${printableJson({ kind: 'ended', reason })}\n`);
      tell();
    },
  };
}

/** Who may ask a run may not join it for that. */
function withoutToken(event: RunEvent): RunEvent {
  if (event.kind !== 'waiting' || event.joining === null) return event;
  return { ...event, joining: { ...event.joining, token: null } };
}

function keepLines(): KeptLines & { write(text: string): void } {
  const lines: string[] = [];
  let first = 0;
  return {
    get first() {
      return first;
    },
    get end() {
      return first + lines.length;
    },
    at: (index) => lines[index - first]!,
    write(text) {
      lines.push(text.replace(/\n$/, ''));
      if (lines.length <= mostLines) return;
      lines.shift();
      first += 1;
    },
  };
}
