/**
 * Reads Prometheus' text format: what gives the value of a sample by its name, without `rondo_`, and its labels as they
 * are written.
 */
export function readMetricsText(text: string): (sample: string) => number | undefined {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^rondo_(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) values.set(name, Number(value));
    else if (line !== '' && !line.startsWith('# ')) throw new Error(`"${line}" is no sample of Rondo's`);
  }
  return (sample) => values.get(sample);
}
