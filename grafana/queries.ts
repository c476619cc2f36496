/** Every PromQL expression of this repository, with its place: panels, rules, autoscalers. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDashboards } from './panel-files.ts';
import { fillVariables } from './promql.ts';
import { readRules } from './rules.ts';

export interface Query {
  /** For messages, as `overview / Backlog` or `alert BallastNodeLost`. */
  readonly where: string;
  readonly kind: 'panel' | 'alert' | 'recording' | 'autoscaler';
  /** Without variables. */
  readonly expr: string;
  /** Labels that the legend, or the texts of the alert, name. */
  readonly shown: readonly string[];
}

export interface VariableValues {
  readonly rateInterval: string;
  readonly values: Readonly<Record<string, string>>;
}

const ANY: VariableValues = {
  rateInterval: '1m',
  values: { run: '.*', node: '.*', cluster: '.*', namespace: '.*', installation: '.*' },
};

/** Panels with their variables filled, alerts, recording rules, and the query of the autoscaler where k8s/ is there. */
export function allQueries(variables: VariableValues = ANY): Query[] {
  const panels = [...readDashboards()].flatMap(([dashboard, { panels }]) =>
    panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, legendFormat }): Query => ({
        where: `${dashboard} / ${title}`,
        kind: 'panel',
        expr: fillVariables(expr, variables),
        shown: names(/\{\{(\w+)\}\}/g, legendFormat),
      })),
    ),
  );
  const { alerts, recordings } = readRules();
  return [
    ...panels,
    ...alerts.map(({ alert, expr, annotations }): Query => ({
      where: `alert ${alert}`,
      kind: 'alert',
      expr,
      shown: names(/\$labels\.(\w+)/g, annotations.summary + annotations.description),
    })),
    ...recordings.map(({ record, expr }): Query => ({ where: record, kind: 'recording', expr, shown: [] })),
    ...autoscalerQueries(join(import.meta.dirname, '..', 'k8s')),
  ];
}

function names(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(([, name]) => name!);
}

/** The queries of the autoscaler of k8s/chart, over all namespaces and installations; none if there is no chart. */
function autoscalerQueries(folder: string): Query[] {
  const file = join(folder, 'chart', 'files', 'backlog.promql');
  if (!existsSync(file)) return [];
  const expr = readFileSync(file, 'utf8')
    .trim()
    .replace('WINDOW', '10')
    .replaceAll(/="(?:NAMESPACE|INSTALLATION)"/g, '=~".*"');
  return [{ where: 'k8s/chart/files/backlog.promql', kind: 'autoscaler', expr, shown: [] }];
}
