import { expect } from 'vitest';
import { beginMembership } from '../../coordinator/membership/membership.js';
import type { Effect, RunResult } from '../../coordinator/membership/membership-events.js';
import type { Membership } from '../../coordinator/membership/membership-state.js';
import { awaitReturn } from '../../coordinator/membership/reattach.js';
import type { ChangeCause } from '../../coordinator/telemetry/run-events.js';
import type { CoordinatorMessage, Recorded } from '../../proto/gen/coordinator.js';
import { isRecorded, isReport } from '../../worker/session/coordinator-link.js';
import {
  type Driver,
  driveMembership,
  failedMessage,
  heartbeatMessage,
  type Message,
  placeByWindows,
  registerMessage,
} from './membership-driver.js';
import { type ModelLedger, openModelLedger } from './model-ledger.js';
import { addressOf, copiesFrom, type ModelWorker, openModelWorkers, unassigned } from './model-worker.js';

/** What may happen to a cluster; `worker` counts the processes' ids. */
export type Happening =
  /** The worker does the next thing that it can do. */
  | { readonly kind: 'act'; readonly worker: number }
  | { readonly kind: 'start'; readonly worker: number }
  /** It looks for a coordinator that died, if it has not found one yet. */
  | { readonly kind: 'reconnect'; readonly worker: number }
  | { readonly kind: 'kill'; readonly worker: number }
  /** It is neither heard nor hears; its process lives. */
  | { readonly kind: 'hang'; readonly worker: number }
  /** What it and the coordinator tell each other does not arrive; it trains on. */
  | { readonly kind: 'cut'; readonly worker: number }
  /** One that hung, or was cut off, is so no more: what it was told meanwhile arrives. */
  | { readonly kind: 'wake'; readonly worker: number }
  | { readonly kind: 'leave'; readonly worker: number }
  | { readonly kind: 'complain'; readonly worker: number }
  /** The coordinator dies, and another one takes its place with what is on the disk. */
  | { readonly kind: 'crash' }
  | { readonly kind: 'wait'; readonly ms: number };

interface Process extends ModelWorker {
  readonly id: string;
  /** Between it and the coordinator nothing arrives. */
  cut: boolean;
  /** What it was told while it hung, or was cut off. */
  inbox: CoordinatorMessage[];
  /** What it has said, and was not heard yet. */
  outbox: Message[];
  /** It was told to end, and does so when it has waited long enough for Goodbye. */
  leaving: boolean;
}

/**
 * Workers that behave as real ones do, one small action at a time, around a real reducer: steps are taken by
 * all ranks or broken off, states are copied from peers that live.
 */
export interface ClusterModel {
  readonly driver: Driver;
  happen(happening: Happening): void;
  /** Everybody does all there is to do, and workers that are gone are started again, until the run has ended. */
  finish(): void;
  readonly result: RunResult | null;
  readonly ledger: ModelLedger;
  /** What has come about of what a sequence is to try. */
  readonly met: ReadonlySet<Encounter>;
}

/** What a run must survive, by name. */
export type Encounter =
  | `crash while ${Membership['kind']}`
  | 'loss while another is heard of'
  | 'loss while copying'
  | 'loss of who is copied from'
  | 'below the minimum by a leave'
  | 'going on after a leave below the minimum'
  | 'loss of who was cut off at the end of an epoch'
  | 'going back from a state that is held'
  | 'waking within the silence limit'
  | 'waking after having been lost';

export function openClusterModel(o: {
  workers: number;
  minWorkers: number;
  totalSteps: number;
  /** Each micro-batch of a step has a partition of the shards. */
  windows?: boolean;
}): ClusterModel {
  const { workers, minWorkers, totalSteps, windows = false } = o;
  const driver = driveMembership({
    ...{ worldSize: workers, minWorkers, maxWorkers: workers },
    ...(windows ? { placePartitions: placeByWindows } : {}),
  });
  const ledger = openModelLedger(driver.rules.stepsPerEpoch);
  const processes = new Map<string, Process>();
  const closed = new Set<number>();
  /** Sessions that ended in a way after which a worker may join anew. */
  const mayReturn = new Set<number>();
  const met = new Set<Encounter>();
  let nextSession = 1;
  let result: RunResult | null = null;

  const say = (process: Process, message: Message) => {
    if (process.hung) return;
    if (isReport(message)) process.kept.push(message);
    if (process.session === null || closed.has(process.session)) return;
    if (process.cut || process.outbox.length > 0) process.outbox.push(message);
    else perform(driver.say(process.session, message));
  };
  const training = openModelWorkers({ rules: driver.rules, totalSteps, workers: processes, say });
  const perform = (effects: readonly Effect[]) => {
    for (const effect of effects) {
      ledger.record(effect);
      if (effect.kind === 'send') deliver(effect.session, effect.message);
      // As mayReconnect in worker/session/follow-coordinator.ts has it.
      if (effect.kind === 'refuse' && effect.error.code === 'aborted') mayReturn.add(effect.session);
      if (effect.kind === 'dismiss' || effect.kind === 'refuse') end(effect.session);
      if (effect.kind === 'short' && causesOf(driver.state).some(({ kind }) => kind === 'leave')) {
        met.add('below the minimum by a leave');
      }
      if (effect.kind === 'recovered' && met.has('below the minimum by a leave')) {
        met.add('going on after a leave below the minimum');
      }
      if (effect.kind === 'workerLost') {
        const outbox = processes.get(effect.value.workerId)?.outbox ?? [];
        if (outbox.some(({ $case }) => $case === 'evaluation'))
          met.add('loss of who was cut off at the end of an epoch');
      }
      if (effect.kind === 'resolved') {
        if (effect.result.stateLost) loseState();
        else result = effect.result;
      }
    }
  };
  const loseState = () => {
    const isConnected = ({ session }: Process) => session !== null && !closed.has(session);
    const holders = [...processes.values()].filter((each) => isConnected(each) && each.held !== null);
    if (holders.length > 0) met.add('going back from a state that is held');
    goBack();
  };
  const goBack = () => {
    const step = ledger.goBack();
    perform(driver.dispatch({ kind: 'start', start: { step, source: step === 0 ? 'fresh' : 'checkpoint' } }));
  };
  /** The coordinator ended the session: the process ends, unless it does not hear it. */
  const end = (session: number) => {
    expect(closed).not.toContain(session);
    closed.add(session);
    for (const process of processes.values()) {
      if (process.session === session && !process.hung && !process.cut) processes.delete(process.id);
    }
  };
  const deliver = (session: number, { message }: CoordinatorMessage) => {
    expect(closed).not.toContain(session);
    const process = [...processes.values()].find((each) => each.session === session);
    if (process === undefined) return;
    if (process.hung || process.cut) process.inbox.push({ message });
    else hear(process, message);
  };
  const hear = (process: Process, message: CoordinatorMessage['message']) => {
    if (message?.$case === 'welcome') welcome(process, message.value.attached);
    else training.hear(process, message);
  };
  const welcome = (process: Process, attached: Recorded | undefined) => {
    if (attached === undefined) {
      Object.assign(process, unassigned());
      return;
    }
    process.closedEpochs = attached.epochs;
    process.outbox = process.kept.filter((message) => !isRecorded(message, attached));
  };
  const register = (process: Process) => {
    process.session = nextSession;
    nextSession += 1;
    const { occupation, assigned } = process;
    const isTraining = occupation.kind === 'training' || occupation.kind === 'summing';
    const attachment = assigned === null ? undefined : { generation: assigned, training: isTraining };
    // Each on a machine of its own.
    const message = registerMessage(process.id, process.port, undefined, attachment, process.id);
    perform(driver.say(process.session, message));
    if (process.leaving) say(process, { $case: 'leave', value: {} });
  };
  const crash = () => {
    for (const process of processes.values()) {
      if (process.session !== null) closed.add(process.session);
      Object.assign(process, { session: null, outbox: [] });
    }
    // The next one numbers those who are away anew (reattach.ts).
    for (const session of closed) if (session < 0) closed.delete(session);
    const left = ledger.adopt();
    if (left === null) {
      driver.state = beginMembership(driver.nowMs, ledger.newestGeneration);
      return goBack();
    }
    driver.state = awaitReturn(driver.rules, left, driver.nowMs);
  };

  const act = (process: Process): boolean => {
    if (process.hung) return false;
    const [next] = process.session === null || process.cut ? [] : process.outbox.splice(0, 1);
    if (next !== undefined) {
      perform(driver.say(process.session!, next));
      return true;
    }
    return training.act(process);
  };
  /** Sooner or later, beside what it does. */
  const reconnect = (process: Process): boolean => {
    if (process.hung || process.cut || process.session !== null) return false;
    register(process);
    return true;
  };
  /** Training goes on without a coordinator, until there is nothing else to do. */
  const actOrReconnect = (process: Process) => act(process) || reconnect(process);
  const start = (worker: number) => {
    const id = `worker-${worker}`;
    if (processes.has(id) || result !== null) return;
    const process: Process = {
      ...{ id, port: 7000 + nextSession, session: null, hung: false, cut: false },
      ...{ inbox: [], outbox: [], leaving: false },
      ...{ ...unassigned(), vote: 'go on' },
    };
    processes.set(id, process);
    register(process);
  };
  const kill = (process: Process) => {
    noteLoss(process);
    processes.delete(process.id);
    if (process.session === null || closed.has(process.session)) return;
    closed.add(process.session);
    perform(driver.dispatch({ kind: 'closed', session: process.session, reason: 'gone' }));
  };
  const noteLoss = (process: Process) => {
    if (driver.state.kind === 'regrouping') met.add('loss while another is heard of');
    if (copiesFrom(process) !== null) met.add('loss while copying');
    const isCopiedFrom = [...processes.values()].some((each) => copiesFrom(each) === addressOf(process));
    if (isCopiedFrom) met.add('loss of who is copied from');
  };
  const wake = (process: Process) => {
    if (!process.hung && !process.cut) return;
    Object.assign(process, { hung: false, cut: false });
    const { session } = process;
    const isOver = session !== null && closed.has(session);
    met.add(isOver ? 'waking after having been lost' : 'waking within the silence limit');
    for (const { message } of process.inbox.splice(0)) hear(process, message);
    if (isOver && !mayReturn.has(session)) processes.delete(process.id);
    else if (isOver) Object.assign(process, { session: null, outbox: [] });
    else if (process.leaving) say(process, { $case: 'leave', value: {} });
  };
  const beat = () => {
    for (const process of [...processes.values()]) say(process, heartbeatMessage());
  };

  perform(driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } }));
  for (let worker = 0; worker < workers; worker += 1) start(worker);

  return {
    driver,
    get result() {
      return result;
    },
    ...{ ledger, met },
    happen(happening) {
      if (result !== null) return;
      if (happening.kind === 'wait') {
        beat();
        perform(driver.wait(happening.ms));
        return;
      }
      if (happening.kind === 'crash') {
        met.add(`crash while ${driver.state.kind}`);
        return crash();
      }
      if (happening.kind === 'start') return start(happening.worker);
      const process = processes.get(`worker-${happening.worker}`);
      if (process === undefined) return;
      if (happening.kind === 'act') actOrReconnect(process);
      if (happening.kind === 'reconnect') reconnect(process);
      if (happening.kind === 'kill') kill(process);
      if (happening.kind === 'hang') process.hung = true;
      if (happening.kind === 'cut') process.cut = true;
      if (happening.kind === 'wake') wake(process);
      if (happening.kind === 'leave') {
        process.leaving = true;
        say(process, { $case: 'leave', value: {} });
      }
      if (happening.kind === 'complain' && process.occupation.kind === 'summing') {
        const { assignment } = process.occupation;
        process.occupation = { kind: 'ended', assignment };
        say(process, failedMessage('unavailable', 'a peer', assignment.generation));
      }
    },
    finish() {
      for (let round = 0; round < 2_000 && result === null && driver.state.kind !== 'failed'; round += 1) {
        let moved = false;
        for (const process of [...processes.values()]) moved = actOrReconnect(process) || moved;
        if (moved) continue;
        beat();
        // Long enough for those that hang to be noticed.
        for (let waited = 0; waited < 6_000; waited += 1_000) {
          beat();
          perform(driver.wait(1_000));
        }
        for (const process of [...processes.values()])
          if (process.hung || process.cut || process.leaving) kill(process);
        for (let worker = 0; worker < workers; worker += 1) start(worker);
      }
    },
  };
}

function causesOf(state: Membership): readonly ChangeCause[] {
  return 'change' in state && state.change !== null ? state.change.causes : [];
}
