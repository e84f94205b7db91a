import { readFileSync } from 'node:fs';

/** Memory of some processes over time, in MB (10^6 bytes) by name; of those that have ended nothing. */
export interface MemorySample {
  readonly seconds: number;
  readonly megabytes: Readonly<Record<string, number>>;
}

export interface MemoryWatch {
  /** Begins anew, and gives what was seen since it began. */
  take(): MemorySample[];
  close(): void;
}

/** Looks every second at what `processes` answers: names and ids. Linux. */
export function watchMemory(processes: () => Readonly<Record<string, number>>): MemoryWatch {
  let [began, samples] = [performance.now(), [] as MemorySample[]];
  const look = () => {
    const found = Object.entries(processes()).map(([name, pid]) => [name, residentBytes(pid) / 1e6] as const);
    const megabytes = Object.fromEntries(found.filter(([, size]) => size > 0));
    samples.push({ seconds: (performance.now() - began) / 1_000, megabytes });
  };
  const timer = setInterval(look, 1_000);
  return {
    take() {
      look();
      const taken = samples;
      [began, samples] = [performance.now(), []];
      return taken;
    },
    close: () => clearInterval(timer),
  };
}

/** What a process has of its own: pages of files and of shared memory belong to the system's cache. 0 once it has ended. */
function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    return 1_024 * (kilobytes('RssAnon') + kilobytes('RssShmem'));
  } catch {
    return 0;
  }
}
