import { join } from 'node:path';
import { expect, it } from 'vitest';
import { methodDefaults, PRESET_NAMES, resolveMethod } from '../config/method.ts';
import { runConfigSchema } from '../config/run-config.ts';
import { configRows, type FieldRow } from '../scripts/config-reference.ts';
import { markdownTable, withParts } from '../scripts/generated-docs.ts';
import { judgeConfigSchema } from '../services/classifier-trainer/judge.ts';
import { priorConfigSchema } from '../services/prior-trainer/config.ts';

const ROOT = join(import.meta.dirname, '..');

function fieldTable(rows: readonly FieldRow[]): string {
  const cells = rows.map((row) => [
    `\`${row.path}\``,
    row.allowed === 'a group' ? '' : row.default === 'required' ? 'required' : `\`${row.default}\``,
    row.allowed,
    row.meaning,
  ]);
  return markdownTable(['field', 'default', 'allowed', 'meaning'], cells);
}

function methodTable(): string {
  const rows = PRESET_NAMES.map((name) => {
    const { synthesis, logitAdjustment, sampling } = resolveMethod(name);
    const defaults = JSON.stringify(methodDefaults(name));
    return [`\`${name}\``, synthesis, String(logitAdjustment), sampling, defaults === '{}' ? '' : `\`${defaults}\``]; // prettier-ignore
  });
  return markdownTable(['preset', 'extra images', 'logit adjustment τ', 'real images drawn', 'defaults of its own'], rows); // prettier-ignore
}

it('docs/configuration.md says what the schemas say (else: make docs)', async () => {
  const run = configRows(runConfigSchema, join(ROOT, 'config/run-config.ts'), 'runConfigSchema');
  const prior = configRows(
    priorConfigSchema,
    join(ROOT, 'services/prior-trainer/config.ts'),
    'priorConfigSchema',
    ['data'],
  );
  const judge = configRows(
    judgeConfigSchema,
    join(ROOT, 'services/classifier-trainer/judge.ts'),
    'judgeConfigSchema',
    ['data', 'classifier', 'training'],
  );
  const asInRun = (row: FieldRow): FieldRow =>
    row.allowed === 'a group' ? { ...row, meaning: 'as in a run' } : row;
  const text = await withParts(join(ROOT, 'docs/configuration.md'), {
    run: fieldTable(run),
    methods: methodTable(),
    prior: fieldTable(prior.map(asInRun)),
    judge: fieldTable(judge.map(asInRun)),
  });
  await expect(text).toMatchFileSnapshot('configuration.md');
});

it('knows the fields, defaults and comments of a schema', () => {
  const rows = configRows(runConfigSchema, join(ROOT, 'config/run-config.ts'), 'runConfigSchema');
  const row = (path: string) => rows.find((found) => found.path === path);
  expect(row('synthesis.startTime')).toEqual({
    path: 'synthesis.startTime',
    default: '0.6',
    allowed: 'a number above 0 and at most 1',
    meaning: 't in (0, 1] to which an anchor is noised; `noise` always starts at 1.',
  });
  expect(row('data.validation.fraction')?.default).toBe('0.1');
  expect(row('data.longTail')?.default).toBe('null');
  expect(row('data.longTail.ratio')?.default).toBe('required');
  expect(row('data.csv.labelColumn')?.allowed).toContain('or null');
});
