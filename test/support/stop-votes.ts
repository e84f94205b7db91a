/** Replaces the ring in tests: a round ends when every rank has voted; one vote to stop stops all. */
export interface StopVotes {
  vote(generation: bigint, round: number, worldSize: number, stop: boolean): Promise<boolean>;
}

export function openStopVotes(): StopVotes {
  const rounds = new Map<string, { votes: boolean[]; waiting: ((stop: boolean) => void)[] }>();
  return {
    vote(generation, round, worldSize, stop) {
      const key = `${generation}/${round}`;
      const state = rounds.get(key) ?? { votes: [], waiting: [] };
      rounds.set(key, state);
      state.votes.push(stop);
      return new Promise((resolve) => {
        state.waiting.push(resolve);
        if (state.votes.length < worldSize) return;
        for (const wake of state.waiting) wake(state.votes.includes(true));
        rounds.delete(key);
      });
    },
  };
}
