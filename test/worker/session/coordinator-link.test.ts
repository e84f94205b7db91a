import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type CoordinatorLink, createCoordinatorLink } from '../../../worker/session/coordinator-link.js';
import type { CoordinatorSession } from '../../../worker/session/coordinator-session.js';
import type { Upward } from '../../../worker/session/message-log.js';
import {
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  readyMessage,
  stepMessage,
} from '../../support/membership-driver.js';

function openSession(): { readonly session: CoordinatorSession; readonly sent: Upward[] } {
  const sent: Upward[] = [];
  const send = (message: Upward) => void sent.push(message);
  return { sent, session: { send } as Partial<CoordinatorSession> as CoordinatorSession };
}

const createLink = (epochEndMs = 60_000) => createCoordinatorLink({ epochEndMs: () => epochEndMs });

const inside = epochMessage(0, 3, { whole: false, stopped: false });
const reports = [
  ...[stepMessage(0, 2), inside, stepMessage(0, 3), epochMessage(0, 4), evaluationMessage(0, 4, [0])],
  ...[stepMessage(0, 4), finishedMessage(5)],
];

describe('the link to a coordinator', () => {
  it('repeats to another session, in order, what may not have been recorded, and goes on', () => {
    const link = createLink();
    const [first, second] = [openSession(), openSession()];
    link.open(first.session);
    for (const report of reports.slice(0, 3)) link.send(report);
    link.close();
    for (const report of reports.slice(3)) link.send(report);
    link.send(readyMessage());
    link.send(heartbeatMessage());
    expect(first.sent).toEqual(reports.slice(0, 3));
    link.open(second.session);
    link.send(stepMessage(0, 5));
    expect(second.sent).toEqual([...reports, stepMessage(0, 5)]);
  });

  it.each([
    [2, 0, reports],
    [3, 0, reports.slice(2)],
    [4, 0, reports.slice(3)],
    [4, 1, reports.slice(5)],
    [5, 1, reports.slice(6)],
  ])('does not repeat %i steps and %i epochs that are recorded', (steps, epochs, expected) => {
    const link = createLink();
    for (const report of reports) link.send(report);
    link.drop({ steps: BigInt(steps), epochs });
    const { session, sent } = openSession();
    link.open(session);
    expect(sent).toEqual(expected);
  });

  it('repeats that a generation failed, not that one could not be prepared for; nothing once cleared', async () => {
    const link = createLink();
    link.send(failedMessage('unavailable', 'a peer', 3n));
    link.send(failedMessage('unavailable', 'the data', 0n));
    const { session, sent } = openSession();
    link.open(session);
    expect(sent).toEqual([failedMessage('unavailable', 'a peer', 3n)]);
    link.clear();
    link.close();
    await expect(link.fetchDataset()).rejects.toMatchObject({ code: 'unavailable' });
    const again = openSession();
    link.open(again.session);
    expect(again.sent).toEqual([]);
  });

  describe('lets an epoch begin', () => {
    const { signal } = new AbortController();
    /** Whether the epoch after 1 may begin, once `happen` has. */
    const mayBegin = async (link: CoordinatorLink, happen: () => void): Promise<boolean> => {
      let may = false;
      const waiting = link.epochClosed(1, signal).then(() => {
        may = true;
      });
      await setImmediate();
      expect(may).toBe(false);
      happen();
      await setImmediate();
      if (may) await waiting;
      return may;
    };
    const connected = () => {
      const link = createLink();
      link.open(openSession().session);
      return link;
    };

    it.each<[string, boolean, (link: CoordinatorLink) => void]>([
      ['the one before is closed', true, (link) => link.closeEpoch(1)],
      ['an earlier one is closed', false, (link) => link.closeEpoch(0)],
      ['it is recorded', true, (link) => link.drop({ steps: 8n, epochs: 2 })],
      ['an earlier one is recorded', false, (link) => link.drop({ steps: 8n, epochs: 1 })],
      ['the session ends', true, (link) => link.close()],
    ])('when %s: %s', async (_, may, happen) => {
      const link = connected();
      expect(await mayBegin(link, () => happen(link))).toBe(may);
    });

    it('at once where that was heard before, or nobody is there to say it', async () => {
      const link = createLink();
      await link.epochClosed(1, signal);
      link.open(openSession().session);
      link.closeEpoch(1);
      link.closeEpoch(0);
      await link.epochClosed(1, signal);
    });

    it('when the coordinator, which would have missed a worker meanwhile, says nothing', async () => {
      const link = createLink(20);
      link.open(openSession().session);
      link.closeEpoch(0);
      await link.epochClosed(1, signal);
    });

    it('not by what was heard in an earlier generation, and not when the generation ends', async () => {
      const link = connected();
      link.closeEpoch(1);
      link.clear();
      const ending = new AbortController();
      const waiting = link.epochClosed(1, ending.signal);
      ending.abort();
      await expect(waiting).rejects.toThrow();
      await expect(link.epochClosed(1, ending.signal)).rejects.toThrow();
    });
  });
});
