/** Every PromQL expression of this repository, with where it stands: panels, rules, autoscalers. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
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

const ANY: VariableValues = { rateInterval: '1m', values: { run: '.*', node: '.*' } };

/** Panels with their variables filled, alerts, recording rules, and KEDA's queries under k8s/ where there are any. */
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

/** Queries of KEDA's Prometheus triggers in every manifest below a folder; none where there is no folder. */
function autoscalerQueries(folder: string): Query[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.ya?ml$/.test(name),
  );
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8'))
      .flatMap((document) => triggersOf(document.toJS()))
      .map((expr): Query => ({ where: `k8s/${file}`, kind: 'autoscaler', expr, shown: [] })),
  );
}

interface ScaledObject {
  readonly kind?: string;
  readonly spec?: {
    readonly triggers?: readonly {
      readonly type?: string;
      readonly metadata?: { readonly query?: string };
    }[];
  };
}

function triggersOf(object: unknown): string[] {
  const { kind, spec } = (object ?? {}) as ScaledObject;
  if (kind !== 'ScaledObject') return [];
  return (spec?.triggers ?? [])
    .filter(({ type }) => type === 'prometheus')
    .flatMap(({ metadata }) => metadata?.query ?? []);
}
