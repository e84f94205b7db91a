/** NATS subjects of a run: one JetStream stream holds `rondo.<run>.>`. */
export const subjects = {
  all: (runId: string) => `rondo.${runId}.>`,
  step: (runId: string, workerId: string) => `rondo.${runId}.step.${workerId}`,
  epoch: (runId: string) => `rondo.${runId}.epoch`,
  event: (runId: string) => `rondo.${runId}.event`,
} as const;
