import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeUp } from '../../../coordinator/run/take-up.js';
import { fresh, runStart } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const supervised = { ...fresh, supervised: true };

describe('a supervised coordinator', () => {
  it('begins its run, goes on with it, and says that it is completed, by one and the same line', async () => {
    const runs = temporaryFolder();
    const first = await runStart(runs, supervised, { loseWorkerAt: 7 });
    expect([first.code, first.error?.code]).toEqual([null, 'unavailable']);
    const second = await runStart(runs, supervised);
    expect([second.code, second.summary.status, second.summary.steps]).toEqual([0, 'completed', 9]);
    expect(second.events.find(({ kind }) => kind === 'prepared')).toMatchObject({ startStep: 6 });
    const third = await runStart(runs, supervised);
    expect(third.code).toBe(0);
    expect(third.events).toContainEqual(
      expect.objectContaining({ kind: 'note', text: expect.stringMatching(/is completed/) }),
    );
  });

  it('does not go on with another recipe', async () => {
    const runs = temporaryFolder();
    await runStart(runs, supervised, { loseWorkerAt: 7 });
    const { error } = await runStart(runs, { ...supervised, epochs: 4 });
    expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(/--epochs/) });
  });

  it('needs the name of its run', async () => {
    const { name: _, ...nameless } = supervised;
    const { error } = await runStart(temporaryFolder(), nameless);
    expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(/--name/) });
  });

  it('begins again where another one ended before there was a run', async () => {
    const runs = temporaryFolder();
    const folder = join(runs, 'mine');
    for (const name of ['', 'checkpoints', 'logs']) mkdirSync(join(folder, name));
    for (const name of ['images.sha256', '.run.json.0123abcd.tmp']) writeFileSync(join(folder, name), 'x');
    expect((await runStart(runs, supervised)).code).toBe(0);
  });

  it.each(['ledger.jsonl', 'photo.jpg', 'checkpoints/epoch-0000'])(
    'keeps a folder that holds %s',
    async (name) => {
      const runs = temporaryFolder();
      mkdirSync(join(runs, 'mine', 'checkpoints'), { recursive: true });
      writeFileSync(join(runs, 'mine', name), 'x');
      const { error } = await runStart(runs, supervised);
      expect(error).toMatchObject({ code: 'failed-precondition', message: expect.stringMatching(/exists/) });
      expect(existsSync(join(runs, 'mine', name))).toBe(true);
    },
  );

  it('is no other one', () => {
    const runs = temporaryFolder();
    mkdirSync(join(runs, 'mine'));
    writeFileSync(join(runs, 'mine', 'run.json'), '{}');
    const raw = { 'run-dir': runs, name: 'mine' };
    expect(takeUp(raw)).toBe(raw);
    expect(takeUp({ ...raw, supervised: true })).toEqual({
      ...{ 'run-dir': runs, supervised: true, resume: join(runs, 'mine') },
    });
  });
});
