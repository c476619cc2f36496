// The rules as objects of the Prometheus operator: k8s/components/prometheus-operator/prometheus-rules.yaml.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { readRules } from './rules.ts';

const FILE = join(import.meta.dirname, '..', 'k8s/components/prometheus-operator/prometheus-rules.yaml');
const HEAD = '# Made from grafana/alerts/ by `make docs`; change the rules there.\n';

it('are what grafana/alerts has (else: make docs)', async () => {
  const objects = readRules().files.map((file) => ({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: `ballast-${basename(file, '.yaml')}` },
    spec: parse(readFileSync(file, 'utf8')) as object,
  }));
  const text = HEAD + objects.map((object) => stringify(object, { lineWidth: 0 })).join('---\n');
  await expect(text).toMatchFileSnapshot(FILE);
});
