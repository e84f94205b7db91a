import { afterEach, expect, it } from 'vitest';
import { expectAlike, openAlikeRuns, type Trained } from '../support/alike-runs.js';
import { canMakeMachines, type Machines, makeMachines } from '../support/machines.js';

const { train, trainWorlds } = await openAlikeRuns();
let machines: Machines | undefined;
afterEach(() => {
  machines?.destroy();
  machines = undefined;
});

/** Two workers on each of two machines. */
async function trainOnTwo(wire: string): Promise<Trained> {
  const made = makeMachines(2);
  machines = made;
  const [first, second] = made.machines;
  const ended: Promise<unknown>[] = [];
  const trained = await train({
    name: `${wire}-machines`,
    inputs: ['--listen', `${first!.address}:7070`, '--workers', '4', '--local-workers', '2', '--wire', wire],
    place: { within: first!.inside() },
    bring({ address, joining }) {
      const { token, hash } = joining as { readonly token: string; readonly hash: string };
      const line = `worker join --coordinator ${address} --token ${token} --ca-hash ${hash}`;
      for (const _ of [0, 1]) ended.push(made.type(second!, line).exited);
    },
  });
  expect(await Promise.all(ended)).toMatchObject([{ code: 0 }, { code: 0 }]);
  return trained;
}

it.each(['float32', 'bfloat16'])(
  'one to four workers, and two on each of two machines, train to the same bits (%s)',
  async (wire) => {
    const trained = await trainWorlds(wire, [1, 2, 3, 4]);
    if (canMakeMachines()) trained.push(await trainOnTwo(wire));
    expectAlike(trained);
  },
);
