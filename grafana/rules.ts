/** The rule files, read strictly. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

export const ALERTS = join(import.meta.dirname, 'alerts');

const text = z.string().min(1);
const alertSchema = z.strictObject({
  alert: text,
  expr: text,
  for: z.string().regex(/^\d+[mh]$/),
  labels: z.strictObject({
    severity: z.enum(['critical', 'warning', 'info']),
    service: z.literal('ballast'),
  }),
  annotations: z.strictObject({
    summary: text,
    description: text,
    runbook_url: z.string().regex(/^docs\/runbooks\.md#[a-z]+$/),
  }),
});
const recordSchema = z.strictObject({ record: z.string().regex(/^\w+:\w+:\w+$/), expr: text });
const fileSchema = z.strictObject({
  groups: z
    .array(z.strictObject({ name: text, rules: z.array(z.union([alertSchema, recordSchema])).min(1) }))
    .min(1),
});

export type Alert = z.infer<typeof alertSchema>;
export type Recording = z.infer<typeof recordSchema>;

export interface Rules {
  /** Paths of the files. */
  readonly files: readonly string[];
  readonly alerts: readonly Alert[];
  readonly recordings: readonly Recording[];
}

/** Every rule under grafana/alerts. @throws Error for a file that is not as Prometheus and this project want it. */
export function readRules(): Rules {
  const files = readdirSync(ALERTS)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(ALERTS, name));
  const rules = files.flatMap((file) =>
    fileSchema.parse(parse(readFileSync(file, 'utf8'))).groups.flatMap((group) => group.rules),
  );
  return {
    files,
    alerts: rules.filter((rule) => 'alert' in rule),
    recordings: rules.filter((rule) => 'record' in rule),
  };
}
