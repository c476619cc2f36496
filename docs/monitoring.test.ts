import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ballastMetrics } from '../grafana/ballast-metrics.ts';
import { BOUNDED_LABELS } from '../grafana/metric-lists.ts';
import { markdownTable, withParts } from '../scripts/generated-docs.ts';

it('docs/monitoring.md says what the code exports (else: make docs)', async () => {
  const tables = [...ballastMetrics()].map(([exporter, metrics]) => {
    const rows = metrics.map(({ name, type, labels, help }) => {
      const list = labels.map((label) => `\`${label}\``).join(', ');
      return [`\`${name}\``, type, list, help];
    });
    return [exporter, markdownTable(['metric', 'type', 'labels', 'meaning'], rows)] as const;
  });
  const labels = Object.entries(BOUNDED_LABELS).map(([label, values]) => [`\`${label}\``, values]);
  const text = await withParts(join(import.meta.dirname, 'monitoring.md'), {
    ...Object.fromEntries(tables),
    labels: markdownTable(['label', 'values'], labels),
  });
  await expect(text).toMatchFileSnapshot('monitoring.md');
});
