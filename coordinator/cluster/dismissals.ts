import type { WorkerMessage } from '../../proto/gen/coordinator.js';

/** Which workers' processes asked to leave, or were told that all is done. */
export interface Dismissals {
  hear(session: number, message: WorkerMessage): void;
  dismiss(session: number): void;
  forget(session: number): void;
  has(workerId: string, pid: number): boolean;
}

export function followDismissals(): Dismissals {
  const processes = new Map<number, string>();
  const dismissed = new Set<string | undefined>();
  const nameProcess = (workerId: string, pid: number) => `${workerId} ${pid}`;
  return {
    hear(session, { message }) {
      // It may have to end before it is told that it may.
      if (message?.$case === 'leave') dismissed.add(processes.get(session));
      if (message?.$case !== 'register') return;
      processes.set(session, nameProcess(message.value.workerId, message.value.pid));
    },
    dismiss: (session) => void dismissed.add(processes.get(session)),
    forget: (session) => void processes.delete(session),
    has: (workerId, pid) => dismissed.has(nameProcess(workerId, pid)),
  };
}
