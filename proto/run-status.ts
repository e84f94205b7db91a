import { z } from 'zod';

const count = z.int().nonnegative();
const seconds = z.number().nonnegative();

/** A worker's usual step, in seconds, and how many samples it computes in one. */
const memberStep = z.object({
  /** Computing and waiting for its images: what it needs when nobody keeps it waiting. */
  own: seconds,
  compute: seconds,
  data: seconds,
  /** For the other ranks. */
  wait: seconds,
  samples: z.number().nonnegative(),
  /** Processor time over the time in which it computed: less than its threads when others had its cores. */
  cores: z.number().nonnegative(),
});

const member = z.object({
  worker: z.string(),
  /** Null without a place in the generation. */
  rank: count.nullable(),
  host: z.string(),
  pid: count,
  /** Launched by the coordinator. */
  local: z.boolean(),
  state: z.enum(['opening', 'standing by', 'computing', 'reading images', 'waiting', 'leaving', 'unknown']),
  /** Since it was last heard from. */
  silentSeconds: seconds,
  /** Cores that a cgroup lets it have; null without such a limit. */
  cpuQuota: z.number().nullable(),
  /** Null before its first step. */
  step: memberStep.nullable(),
  /** Null unless it is slow: how many times the usual worker's time per sample it takes, and why. */
  slow: z.object({ times: z.number(), reason: z.string() }).nullable(),
});

/** What `coordinator status` says of a run that goes on. Indices count from 0. */
export const runStatusSchema = z.object({
  runId: z.string(),
  phase: z.enum(['gathering', 'preparing', 'training', 'stopping', 'regrouping', 'ended']),
  generation: count,
  worldSize: count,
  minWorkers: count,
  maxWorkers: count,
  /** Steps taken, of how many the plan has. */
  steps: count,
  totalSteps: count,
  epoch: count,
  totalEpochs: count,
  /** How often the next step was begun, once it is: more than 1 after it was cut off. */
  attempt: count,
  /** Over the last steps, changes of the membership included; null before there are two. */
  stepsPerSecond: z.number().nullable(),
  /** Times that training went on after workers were lost, left or joined, or was resumed. */
  recoveries: count,
  members: z.array(member).readonly(),
});

export type RunStatus = Readonly<z.infer<typeof runStatusSchema>>;
export type MemberStatus = RunStatus['members'][number];
