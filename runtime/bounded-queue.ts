/** First in, first out, of fixed capacity. What does not fit pushes the oldest out, and is counted. */
export interface BoundedQueue<T> {
  readonly size: number;
  /** How many items were pushed out so far. */
  readonly dropped: number;
  push(item: T): void;
  shift(): T | undefined;
}

export function createBoundedQueue<T>(capacity: number): BoundedQueue<T> {
  const slots: (T | undefined)[] = new Array(capacity);
  let first = 0;
  let size = 0;
  let dropped = 0;

  function shift(): T | undefined {
    if (size === 0) return undefined;
    const item = slots[first];
    slots[first] = undefined;
    first = (first + 1) % capacity;
    size -= 1;
    return item;
  }

  return {
    get size() {
      return size;
    },
    get dropped() {
      return dropped;
    },
    push(item) {
      if (size === capacity) {
        shift();
        dropped += 1;
      }
      slots[(first + size) % capacity] = item;
      size += 1;
    },
    shift,
  };
}
