import { expect } from 'vitest';
import type { Rules } from '../../coordinator/membership/rules.js';
import { samplesAt, shareOfStep } from '../../plan/phases.js';
import { type Assignment, type CoordinatorMessage, StateSource } from '../../proto/gen/coordinator.js';
import {
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  type Message,
  planOf,
  readyMessage,
  standbyMessage,
  stepMessage,
} from './membership-driver.js';

/** What a worker is at. */
type Occupation =
  | { readonly kind: 'opening' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'loading'; readonly assignment: Assignment }
  | { readonly kind: 'ready'; readonly assignment: Assignment }
  | { readonly kind: 'training'; readonly assignment: Assignment; readonly todo: readonly Message[] }
  | { readonly kind: 'summing'; readonly assignment: Assignment }
  | { readonly kind: 'ended'; readonly assignment: Assignment };

/** At a step's end: to take no more steps, and perhaps to keep the state then. */
type StopVote = 'go on' | 'stop' | 'keep';

/** The part of a worker's process that trains. */
export interface ModelWorker {
  /** The port that peers copy its state from. */
  readonly port: number;
  /** Null until it has found the coordinator. */
  session: number | null;
  /** It is neither heard nor hears. */
  hung: boolean;
  /** What it was assigned to last. */
  assigned: bigint | null;
  /** Reports that the coordinator may not have recorded. */
  kept: Message[];
  /** Epochs whose end all ranks have reported, as it was told. */
  closedEpochs: number;
  /** Generations that it was told to end, and has not answered for. */
  interrupts: bigint[];
  occupation: Occupation;
  /** After how many steps its state is. */
  held: number | null;
  /** Of the next step, which was cut off: the micro-batches that it has computed. */
  computed: number[];
  /** The batches of the validation set that it has evaluated in its state: a sample each. */
  evaluated: number[];
  vote: StopVote;
}

/** What a worker is when its process starts, and again when the coordinator does not know it. */
export function unassigned(): Omit<ModelWorker, 'port' | 'session' | 'hung' | 'vote'> {
  return {
    ...{ assigned: null, kept: [], closedEpochs: 0, interrupts: [], held: null, computed: [], evaluated: [] },
    occupation: { kind: 'opening' },
  };
}

/** Whether it copies a state, from whom that may be. */
export function copiesFrom({ occupation }: ModelWorker): string | null {
  if (occupation.kind !== 'loading') return null;
  const { stateSource, statePeerAddress } = occupation.assignment;
  return stateSource === StateSource.STATE_SOURCE_PEER ? statePeerAddress : null;
}

/**
 * What workers do in a generation: they take a step when all ranks of it have put their parts into its sum.
 *
 * @param workers those that live, by any key.
 * @param say what a worker tells the coordinator.
 */
export function openModelWorkers<Worker extends ModelWorker>(o: {
  readonly rules: Pick<Rules, 'stepsPerEpoch' | 'validCount'>;
  readonly totalSteps: number;
  readonly workers: ReadonlyMap<string, Worker>;
  say(worker: Worker, message: Message): void;
}) {
  const { totalSteps, workers, say } = o;
  const { stepsPerEpoch, validCount } = o.rules;
  /** What ranks have put into the sum of a step, by generation and step: by rank, what it votes for. */
  const sums = new Map<string, Map<number, StopVote>>();

  const hear = (worker: Worker, message: CoordinatorMessage['message']) => {
    const { occupation } = worker;
    if (message?.$case === 'assignment') {
      expect(occupation.kind).toMatch(/idle|ended/);
      worker.occupation = { kind: 'loading', assignment: message.value };
      worker.assigned = message.value.generation;
      worker.vote = 'go on';
    }
    if (message?.$case === 'begin' && occupation.kind === 'ready') {
      expect(worker.held).toBe(Number(occupation.assignment.startStep));
      Object.assign(worker, { kept: [], closedEpochs: 0 });
      const { assignment } = occupation;
      worker.occupation = { kind: 'training', assignment, todo: beginWith(worker, assignment) };
    }
    if (message?.$case === 'stop' && worker.vote !== 'keep') {
      worker.vote = message.value.keepsState ? 'keep' : 'stop';
    }
    if (message?.$case === 'epochClosed') worker.closedEpochs = message.value.epoch + 1;
    if (message?.$case === 'interrupt') worker.interrupts.push(message.value.generation);
  };

  /** Does the next thing there is to do; false when there is none. */
  const act = (worker: Worker): boolean => {
    const { occupation } = worker;
    // It may hear of the interruption only after the next thing that it does.
    const isLate = occupation.kind === 'summing' && canApply(worker, occupation.assignment);
    if (!isLate && answerInterrupt(worker)) return true;
    switch (occupation.kind) {
      case 'opening':
        worker.occupation = { kind: 'idle' };
        say(worker, standbyMessage());
        return true;
      case 'loading':
        return load(worker, occupation.assignment);
      case 'training':
        return train(worker, occupation);
      case 'summing':
        return apply(worker, occupation.assignment);
      default:
        return false;
    }
  };
  const answerInterrupt = (worker: Worker): boolean => {
    const generation = worker.interrupts.shift();
    if (generation === undefined) return false;
    // What it has put into the sum, it has computed.
    if (worker.occupation.kind === 'summing') {
      worker.computed = shareOf(worker.occupation.assignment, worker.held!);
    }
    worker.occupation = { kind: 'idle' };
    const { held, computed, evaluated } = worker;
    say(worker, standbyMessage(generation, held ?? undefined, `state-${held}`, computed, evaluated));
    return true;
  };
  const load = (worker: Worker, assignment: Assignment): boolean => {
    const { stateSource, generation } = assignment;
    const step = Number(assignment.startStep);
    if (stateSource === StateSource.STATE_SOURCE_OWN) expect(worker.held).toBe(step);
    const peer = copiesFrom(worker);
    if (peer !== null) {
      const source = [...workers.values()].find((each) => addressOf(each) === peer);
      if (source === undefined || source.held !== step) {
        worker.occupation = { kind: 'ended', assignment };
        say(worker, failedMessage('unavailable', 'nobody to copy from', generation));
        return true;
      }
      // One that hangs sends nothing; the coordinator will notice.
      if (source.hung) return false;
    }
    if (worker.held !== step) Object.assign(worker, { computed: [], evaluated: [] });
    worker.held = step;
    // Nobody takes from it what it has.
    if (assignment.startShare !== undefined) {
      expect(assignment.startShare.microBatches).toEqual(expect.arrayContaining(worker.computed));
    }
    expect(assignment.startShare === undefined && worker.computed.length > 0).toBe(false);
    expect(assignment.startEvaluation?.microBatches ?? []).toEqual(expect.arrayContaining(worker.evaluated));
    worker.occupation = { kind: 'ready', assignment };
    say(worker, readyMessage(`state-${step}`, step, generation));
    return true;
  };
  const train = (worker: Worker, { assignment, todo }: Extract<Occupation, { kind: 'training' }>) => {
    const [message, ...rest] = todo;
    if (message !== undefined) {
      worker.occupation =
        message.$case === 'finished'
          ? { kind: 'ended', assignment }
          : { kind: 'training', assignment, todo: rest };
      if (message.$case === 'evaluation') worker.evaluated = message.value.sampleIds;
      say(worker, message);
      return true;
    }
    if (awaitsEpochEnd(worker, assignment)) return false;
    const key = `${assignment.generation}/${worker.held}`;
    const sum = sums.get(key) ?? new Map<number, StopVote>();
    sums.set(key, sum.set(assignment.rank, worker.vote));
    worker.occupation = { kind: 'summing', assignment };
    return true;
  };
  /** It begins no epoch before all ranks have reported the end of the one before, unless the coordinator is away. */
  const awaitsEpochEnd = (worker: Worker, { startStep, epochEndDue }: Assignment) => {
    const [step, epochs] = [worker.held!, worker.held! / stepsPerEpoch];
    const isEnd = Number.isInteger(epochs) && (step > Number(startStep) || epochEndDue);
    return isEnd && worker.session !== null && worker.closedEpochs < epochs;
  };
  const canApply = ({ held }: Worker, { generation, worldSize }: Assignment) =>
    sums.get(`${generation}/${held}`)!.size === worldSize;
  const apply = (worker: Worker, assignment: Assignment): boolean => {
    const { generation, rank, worldSize } = assignment;
    const step = worker.held!;
    if (!canApply(worker, assignment)) return false;
    const votes = [...sums.get(`${generation}/${step}`)!.values()];
    const taken = step + 1;
    Object.assign(worker, { held: taken, computed: [], evaluated: [] });
    const stops = votes.some((vote) => vote !== 'go on') && taken < totalSteps;
    const ends: Message[] = [];
    if (taken % stepsPerEpoch === 0) ends.push(...epochEnd(worker, assignment, taken));
    else if (stops && votes.includes('keep'))
      ends.push(epochMessage(rank, taken, { generation, whole: false, epoch: epochOf(taken) }));
    if (stops || taken === totalSteps) ends.push(finishedMessage(taken, stops, generation));
    worker.occupation = { kind: 'training', assignment, todo: ends };
    const sampleIds = [...samplesAt(planOf(step), shareOf(assignment, step))];
    say(worker, stepMessage(rank, step, worldSize, { generation, sampleIds }));
    return true;
  };
  const shareOf = (assignment: Assignment, step: number): number[] => {
    const { startShare, startStep, partitions } = assignment;
    return step === Number(startStep) && startShare !== undefined
      ? startShare.microBatches
      : [...shareOfStep(planOf(step), { ...assignment, partitions: partitions?.microBatches ?? null })];
  };
  const epochEnd = (worker: Worker, assignment: Assignment, step: number): Message[] => {
    const { generation, rank, worldSize, startStep, startEvaluation } = assignment;
    const all = Array.from({ length: validCount }, (_, id) => id);
    const ids =
      step === Number(startStep) && startEvaluation !== undefined
        ? startEvaluation.microBatches
        : all.filter((id) => id % worldSize === rank);
    // It is at its last one when it is cut off.
    worker.evaluated = [...new Set([...worker.evaluated, ...ids.slice(0, -1)])];
    const evaluation = evaluationMessage(rank, step, ids);
    const epoch = epochOf(step);
    return [
      epochMessage(rank, step, { generation, epoch }),
      { ...evaluation, value: { ...evaluation.value, generation, epoch } } as Message,
    ];
  };
  const beginWith = (worker: Worker, assignment: Assignment): Message[] => {
    const step = Number(assignment.startStep);
    const due = assignment.epochEndDue ? epochEnd(worker, assignment, step) : [];
    return step === totalSteps ? [...due, finishedMessage(step, false, assignment.generation)] : due;
  };
  const epochOf = (step: number) => Math.ceil(step / stepsPerEpoch) - 1;

  return { hear, act };
}

export function addressOf({ port }: Pick<ModelWorker, 'port'>): string {
  return `127.0.0.1:${port}`;
}
