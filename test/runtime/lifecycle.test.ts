import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { openLifecycle } from '../../runtime/lifecycle.js';

function open(options: { handsOver?: boolean } = {}) {
  const clock = { nowMs: 5_000 };
  const exits: { code: number; aborted: boolean }[] = [];
  const emitter = new EventEmitter();
  const source = Object.assign(emitter, {
    exit: (code: number) => void exits.push({ code, aborted: lifecycle.immediate.aborted }),
  });
  const lifecycle = openLifecycle({ ...options, source, nowMs: () => clock.nowMs });
  const send = (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => emitter.emit(name, name);
  return { lifecycle, exits, clock, send, emitter };
}

describe('openLifecycle', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('asks to end at the first %s', (name) => {
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

  it('ends at once at SIGTERM where it hands over, unless Ctrl-C came first', () => {
    const asked = open({ handsOver: true });
    asked.send('SIGTERM');
    expect([asked.lifecycle.handover.aborted, asked.lifecycle.signal.aborted]).toEqual([true, false]);
    expect(asked.exits).toEqual([{ code: 143, aborted: false }]);
    const stopped = open({ handsOver: true });
    stopped.send('SIGINT');
    stopped.send('SIGTERM');
    expect([stopped.lifecycle.handover.aborted, stopped.exits]).toEqual([false, []]);
  });

  it('takes what npm forwards for the same Ctrl-C', () => {
    const { lifecycle, exits, clock, send } = open();
    send('SIGINT');
    clock.nowMs += 299;
    send('SIGINT');
    expect(lifecycle.immediate.aborted).toBe(false);
    expect(exits).toEqual([]);
  });

  it('is not hurried by a terminal that is closed', () => {
    const { lifecycle, exits, clock, send } = open();
    send('SIGTERM');
    clock.nowMs += 1_000;
    send('SIGHUP');
    send('SIGHUP');
    expect(lifecycle.immediate.aborted).toBe(false);
    expect(exits).toEqual([]);
  });

  it.each([
    ['a process', []],
    ['a process under nohup', ['nohup']],
  ])('lets %s save what it has at SIGHUP', async (_, within) => {
    const script = `import('./dist/runtime/lifecycle.js').then(({ openLifecycle }) => {
      const alive = setInterval(() => {}, 1_000);
      openLifecycle().signal.addEventListener('abort', () => { console.log('saved'); clearInterval(alive); });
      console.log('ready');
    });`;
    const [command, ...args] = [...within, process.execPath, '-e', script];
    const child = spawn(command!, args, {
      cwd: new URL('../..', import.meta.url),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (line === 'ready') child.kill('SIGHUP');
    }
    expect(lines).toEqual(['ready', 'saved']);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  });

  it('gives the signals back', () => {
    const { lifecycle, emitter } = open();
    lifecycle.close();
    lifecycle.close();
    expect(emitter.eventNames().length).toBe(0);
  });
});
