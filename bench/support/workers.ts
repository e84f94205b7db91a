import { toCount } from './arguments.js';

/** So many processes at the same time, with so many threads each. */
export interface Workers {
  readonly processes: number;
  readonly threads: number;
}

/** From PROCESSESxTHREADS, separated by commas. */
export function toWorkers(option: string, text: string): Workers[] {
  return text.split(',').map((each) => {
    const [processes, threads, ...more] = each.split('x');
    if (threads === undefined || more.length > 0) {
      throw new Error(`--${option} takes PROCESSESxTHREADS, as in 4x1, not ${each}.`);
    }
    return { processes: toCount(option, processes!), threads: toCount(option, threads) };
  });
}
