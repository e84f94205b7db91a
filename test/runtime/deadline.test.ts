import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sleep, startWatchdog, withDeadline } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new Promise<never>(() => {});
const enough = new RondoError('cancelled', 'enough');

describe('withDeadline', () => {
  it('hands on what comes in time, and leaves no timer', async () => {
    await expect(withDeadline(Promise.resolve(3), { timeoutMs: 10, what: 'it' })).resolves.toBe(3);
    await expect(withDeadline(Promise.reject(enough), { timeoutMs: 10, what: 'it' })).rejects.toBe(enough);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says what took too long', async () => {
    const outcome = withDeadline(never, { timeoutMs: 10, what: 'saying hello' });
    const expectation = expect(outcome).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: 'saying hello took longer than 10 ms',
    });
    await vi.advanceTimersByTimeAsync(10);
    await expectation;
  });

  it.each(['before', 'during'])('ends with the reason of a signal aborted %s', async (when) => {
    const controller = new AbortController();
    if (when === 'before') controller.abort(enough);
    const outcome = withDeadline(never, { timeoutMs: 10, what: 'it', signal: controller.signal });
    controller.abort(enough);
    await expect(outcome).rejects.toBe(enough);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('makes a RondoError of any other reason', async () => {
    const outcome = withDeadline(never, { timeoutMs: 10, what: 'it', signal: AbortSignal.abort() });
    await expect(outcome).rejects.toMatchObject({ code: 'cancelled', message: 'it was cancelled' });
  });
});

describe('sleep', () => {
  it('lasts as long as it should', async () => {
    let awake = false;
    const slept = sleep(100).then(() => {
      awake = true;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect(awake).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await slept;
    expect(awake).toBe(true);
  });

  it.each(['before', 'during'])('ends with a signal aborted %s', async (when) => {
    const controller = new AbortController();
    if (when === 'before') controller.abort(enough);
    const slept = sleep(100, controller.signal);
    controller.abort(enough);
    await expect(slept).rejects.toBe(enough);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('startWatchdog', () => {
  it('barks once, counted from the last touch', () => {
    const onSilence = vi.fn();
    const watchdog = startWatchdog(100, onSilence);
    vi.advanceTimersByTime(90);
    watchdog.touch();
    vi.advanceTimersByTime(90);
    expect(onSilence).not.toHaveBeenCalled();
    vi.advanceTimersByTime(500);
    expect(onSilence).toHaveBeenCalledTimes(1);
  });

  it('does not onSilence when stopped, even if touched', () => {
    const onSilence = vi.fn();
    const watchdog = startWatchdog(100, onSilence);
    watchdog.stop();
    watchdog.touch();
    vi.advanceTimersByTime(500);
    expect(onSilence).not.toHaveBeenCalled();
  });
});
