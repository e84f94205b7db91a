import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openRefusalLog } from '../../../runtime/grpc/refusals.js';
import { openLog } from '../../../runtime/log.js';

let lines: Record<string, unknown>[];

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  openLog({
    program: 'test',
    environment: { RONDO_LOG: 'warn' },
    write: (text) => void lines.push(JSON.parse(text) as Record<string, unknown>),
  });
});
afterEach(() => {
  vi.useRealTimers();
  openLog({ program: 'test', environment: {}, write() {} });
});

const wrong = { remote: '10.0.0.9', reason: 'a wrong token' };

it('has a line for what is refused, and one more for what came again', () => {
  const { refused, close } = openRefusalLog(1_000);
  for (let time = 0; time < 500; time += 1) refused('call refused', wrong);
  refused('call refused', { ...wrong, remote: '10.0.0.8' });
  expect(lines).toHaveLength(2);
  vi.advanceTimersByTime(1_000);
  expect(lines.slice(2)).toMatchObject([{ event: 'call refused', ...wrong, again: 499 }]);
  refused('call refused', wrong);
  expect(lines).toHaveLength(4);
  close();
  close();
  expect(lines).toHaveLength(4);
});

it('does not grow with what differs each time', () => {
  const { refused, close } = openRefusalLog(1_000);
  for (let time = 0; time < 10_000; time += 1) refused('call refused', { ...wrong, reason: `no ${time}` });
  expect(lines).toHaveLength(64);
  close();
  expect(lines.at(-1)).toMatchObject({ event: 'more was refused', times: 10_000 - 64 });
});
