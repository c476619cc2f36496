/** Prometheus's text format, as exporters serve it: names, types and labels. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

/** @throws Error for a line that is not a sample. */
export function parseExposition(text: string): Exposition {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\w+)$/.exec(line);
    if (type) types.set(type[1]!, type[2]!);
    if (line === '' || line.startsWith('#')) continue;
    const [, name, labels = '', value] = /^([\w:]+)(?:\{(.*)\})? (\S+)(?: \d+)?$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`no sample: ${line}`);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key!, text!]);
    samples.push({ name, labels: Object.fromEntries(pairs) as Sample['labels'], value: Number(value) });
  }
  return { types, samples };
}

/** Labels of each name. */
export function labelsByName({ samples }: Exposition): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { name, labels } of samples) {
    const known = found.get(name) ?? new Set();
    for (const label of Object.keys(labels)) known.add(label);
    found.set(name, known);
  }
  return found;
}
