// Alerts: each has a runbook, and cases in which it fires and does not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { ALERTS, readRules } from './rules.ts';

const ROOT = join(import.meta.dirname, '..');
const { alerts, recordings } = readRules();
const names = alerts.map(({ alert }) => alert);

interface TestFile {
  readonly tests: readonly {
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts?: readonly unknown[];
    }[];
  }[];
}

it('has alerts and recording rules, each name once', () => {
  expect(alerts.length).toBeGreaterThan(25);
  expect(recordings.length).toBeGreaterThan(5);
  const all = [...names, ...recordings.map(({ record }) => record)];
  expect(new Set(all).size).toBe(all.length);
});

it('has a section of docs/runbooks.md for every alert, and no other', () => {
  const text = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8');
  const sections = text.split(/^## /m).slice(1);
  expect(sections.map((section) => section.split('\n')[0]).sort()).toEqual([...names].sort());
  for (const { alert, annotations } of alerts)
    expect(annotations.runbook_url).toBe(`docs/runbooks.md#${alert.toLowerCase()}`);
  for (const section of sections)
    for (const part of ['**Means.**', '**Look.**', '**Do.**']) expect(section).toContain(part);
});

it('has a case in which each alert fires, and one in which it does not', () => {
  const folder = join(ALERTS, 'tests');
  const cases = readdirSync(folder)
    .flatMap((file) => (parse(readFileSync(join(folder, file), 'utf8')) as TestFile).tests)
    .flatMap((test) => test.alert_rule_test);
  const fires = (isFiring: boolean) =>
    cases
      .filter(({ exp_alerts }) => (exp_alerts?.length ?? 0) > 0 === isFiring)
      .map(({ alertname }) => alertname);
  expect(names.filter((name) => !fires(true).includes(name))).toEqual([]);
  expect(names.filter((name) => !fires(false).includes(name))).toEqual([]);
});
