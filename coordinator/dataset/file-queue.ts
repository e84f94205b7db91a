/** Work that is divided among those who do it at different speeds, and may be lost with it. */
export interface FileQueue<File, Holder> {
  /**
   * What `holder` is to do next: what nobody has in hand, else what another has had for longest. Of the latter what
   * two have in hand is left to them, unless `isLast`: then it is only undefined when all that is left is in this
   * holder's hand.
   */
  take(holder: Holder, isLast: boolean): File | undefined;
  /** It is done; false when it was before. */
  finish(file: File): boolean;
  /** `holder` does not do it. */
  giveBack(file: File, holder: Holder): void;
}

export function createFileQueue<File, Holder>(files: Iterable<File>): FileQueue<File, Holder> {
  const untouched = files[Symbol.iterator]();
  const givenBack: File[] = [];
  /** In the order in which they were first taken. */
  const holders = new Map<File, Set<Holder>>();
  const untaken = (): File | undefined => {
    const file = givenBack.pop();
    if (file !== undefined) return file;
    const next = untouched.next();
    return next.done ? undefined : next.value;
  };
  const ofOthers = (holder: Holder, isLast: boolean): File | undefined => {
    for (const [file, having] of holders) {
      if (!having.has(holder) && (isLast || having.size < 2)) return file;
    }
    return undefined;
  };
  return {
    take(holder, isLast) {
      const file = untaken() ?? ofOthers(holder, isLast);
      if (file === undefined) return undefined;
      const having = holders.get(file) ?? new Set();
      holders.set(file, having.add(holder));
      return file;
    },
    finish: (file) => holders.delete(file),
    giveBack(file, holder) {
      const having = holders.get(file);
      having?.delete(holder);
      if (having?.size !== 0) return;
      holders.delete(file);
      givenBack.push(file);
    },
  };
}
