import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { openLifecycle } from '../../runtime/lifecycle.js';

function open() {
  const clock = { nowMs: 5_000 };
  const exits: { code: number; aborted: boolean }[] = [];
  const emitter = new EventEmitter();
  const source = Object.assign(emitter, {
    exit: (code: number) => void exits.push({ code, aborted: lifecycle.immediate.aborted }),
  });
  const lifecycle = openLifecycle({ source, nowMs: () => clock.nowMs });
  const send = (name: 'SIGINT' | 'SIGTERM') => emitter.emit(name, name);
  return { lifecycle, exits, clock, send, emitter };
}

describe('openLifecycle', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('asks to end at the first %s', (name) => {
    const { lifecycle, exits, send } = open();
    expect(lifecycle.signal.aborted).toBe(false);
    send(name);
    expect(lifecycle.signal.reason).toMatchObject({ code: 'cancelled', message: `stopped by ${name}` });
    expect(lifecycle.immediate.aborted).toBe(false);
    expect(exits).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends at once at a second signal, %s, after saying so', (name, code) => {
    const { exits, clock, send } = open();
    send('SIGINT');
    clock.nowMs += 300;
    send(name);
    expect(exits).toEqual([{ code, aborted: true }]);
  });

  it('takes what npm forwards for the same Ctrl-C', () => {
    const { lifecycle, exits, clock, send } = open();
    send('SIGINT');
    clock.nowMs += 299;
    send('SIGINT');
    expect(lifecycle.immediate.aborted).toBe(false);
    expect(exits).toEqual([]);
  });

  it('gives the signals back', () => {
    const { lifecycle, emitter } = open();
    lifecycle.close();
    lifecycle.close();
    expect(emitter.listenerCount('SIGINT') + emitter.listenerCount('SIGTERM')).toBe(0);
  });
});
