// The rules as k8s/chart installs them: k8s/chart/files/rules.yaml, in which NAMESPACE, INSTALLATION and FULLNAME stand for
// the release.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseQuery } from './promql.ts';
import { readRules } from './rules.ts';
import { withMatchers } from './scope.ts';

const FILE = join(import.meta.dirname, '..', 'k8s/chart/files/rules.yaml');
const HEAD = '# Made from grafana/alerts/ by `make docs`; change the rules there.\n';
const LABELS = { namespace: 'NAMESPACE', installation: 'INSTALLATION' };
/** ScaledObjects of no particular release, which KEDA tells by their names alone. */
const ANY_WORKERS = '".*diffusion-worker.*"';
const MATCHERS = 'namespace="NAMESPACE",installation="INSTALLATION"';

interface RuleGroup {
  readonly name: string;
  readonly rules: readonly { readonly expr: string; readonly labels?: object }[];
}

const groups = readRules()
  .files.flatMap((file) => (parse(readFileSync(file, 'utf8')) as { groups: RuleGroup[] }).groups)
  .map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => ({
      ...rule,
      expr: withMatchers(rule.expr, MATCHERS).replaceAll(ANY_WORKERS, '"FULLNAME-diffusion-worker-.*"'),
      labels: { ...rule.labels, ...LABELS },
    })),
  }));

it('are what grafana/alerts has (else: make docs)', async () => {
  await expect(HEAD + stringify({ groups }, { lineWidth: 0 })).toMatchFileSnapshot(FILE);
});

it('look at the series of one installation', () => {
  const selectors = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => parseQuery(expr).selectors));
  const others = selectors.filter(
    ({ labels }) => !labels.includes('namespace') || !labels.includes('installation'),
  );
  expect(selectors.length).toBeGreaterThan(40);
  for (const { metric } of others) expect(metric).toMatch(/^(DCGM|keda)_/);
});
