// Metrics: the code, the panels, the rules and the lists of exceptions say the same.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ballastMetrics, type Metric, processMetrics } from './ballast-metrics.ts';
import { labelsByName, parseExposition } from './exposition.ts';
import { BOUNDED_LABELS, SCRAPE_LABELS, TARGET_LABELS } from './metric-lists.ts';
import { parseQuery } from './promql.ts';
import { allQueries } from './queries.ts';
import { readRules } from './rules.ts';

const RECORDINGS = readRules().recordings;
const ROOT = join(import.meta.dirname, '..');
const CODE = ['actors', 'cli', 'controller', 'coordinator', 'services', 'tensor', 'models', 'data', 'common'];

const exported = [...ballastMetrics().values()].flat();
const queries = allQueries().map((query) => ({ ...query, ...parseQuery(query.expr) }));

/** The metric that a name of a series belongs to: a histogram's `_bucket`, `_sum` and `_count` are parts of it. */
function familyOf(series: string, metrics: readonly Metric[]): Metric | undefined {
  return metrics.find(
    ({ name, type }) =>
      series === name || (type === 'histogram' && new RegExp(`^${name}_(bucket|sum|count)$`).test(series)),
  );
}

/** Labels of a series, by its exporter; undefined for a name that no exporter has. */
function labelsOf(series: string): ReadonlySet<string> | undefined {
  const withTarget = (labels: Iterable<string>) => new Set([...TARGET_LABELS, 'le', ...labels]);
  const own = familyOf(series, [...exported, ...processMetrics()]);
  if (own !== undefined) return withTarget(own.labels);
  const recording = RECORDINGS.find(({ record }) => record === series);
  if (recording) return withTarget(parseQuery(recording.expr).grouping);
  if (series === 'up') return withTarget([]);
  if (series === 'ALERTS')
    return withTarget([
      'alertstate',
      'alertname',
      'severity',
      'service',
      'run',
      'class',
      'method',
      'Hostname',
    ]);
  const fixture = FIXTURES.get(series);
  return fixture && withTarget(fixture);
}

const FIXTURES = new Map(
  ['dcgm', 'keda', 'nats'].flatMap((name) => [
    ...labelsByName(
      parseExposition(readFileSync(join(ROOT, `test/fixtures/monitoring/${name}.txt`), 'utf8')),
    ),
  ]),
);

it('knows every metric that the source names', () => {
  const inSource = CODE.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .flatMap((file) => [
        ...readFileSync(join(ROOT, folder, file), 'utf8').matchAll(/['"`](ballast_[a-z0-9_]+)['"`]/g),
      ])
      .map(([, name]) => name!),
  );
  const names = new Set(exported.map(({ name }) => name));
  expect(inSource.length).toBeGreaterThan(40);
  expect(inSource.filter((name) => !names.has(name))).toEqual([]);
});

it('exports each with a help text, a unit in its name where it has one, and `_total` for counters', () => {
  for (const { name, type, help } of exported) {
    expect(help, name).toMatch(/^[A-Z].{10,}$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/);
  }
});

it('shows or judges every metric that is exported', () => {
  const used = queries.flatMap(({ selectors }) =>
    selectors.map(({ metric }) => familyOf(metric, exported)?.name),
  );
  expect(exported.map(({ name }) => name).filter((name) => !used.includes(name))).toEqual([]);
});

describe('queries', () => {
  it.each(queries)('$where queries metrics and labels that are exported: $expr', (query) => {
    const { selectors, grouping, made, shown } = query;
    expect(selectors.length).toBeGreaterThan(0);
    const all = new Set(['value', ...made]);
    for (const { metric, labels } of selectors) {
      const known = labelsOf(metric);
      expect(known, metric).toBeDefined();
      for (const label of labels) expect(known, `${metric}{${label}}`).toContain(label);
      for (const label of known!) all.add(label);
    }
    for (const label of [...grouping, ...shown]) expect(all, label).toContain(label);
  });
});

it('has labels that take few values only, each with its reason', () => {
  const labels = new Set([...TARGET_LABELS, ...exported.flatMap((metric) => metric.labels)]);
  for (const target of SCRAPE_LABELS) labels.delete(target);
  expect([...labels].sort()).toEqual(Object.keys(BOUNDED_LABELS).sort());
});
