/** Dashboards as their JSON files hold them, read strictly: a field that is not named here is refused. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Grafana's ids of the units that panels here may have. */
const UNITS = ['none', 'short', 'percent', 'percentunit', 's', 'bytes', 'Bps', 'cps', 'ops', 'reqps', 'celsius', 'watt', 'hertz'] as const; // prettier-ignore

const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });
const gridPos = z.strictObject({
  x: z.int().min(0),
  y: z.int().min(0),
  w: z.int().min(3).max(24),
  h: z.int().min(1),
});
const sentence = z
  .string()
  .regex(/^[A-Z].*[.>]$/s, 'a sentence')
  .min(20);

const row = z.strictObject({
  id: z.int(),
  type: z.literal('row'),
  title: z.string().min(2),
  collapsed: z.literal(false),
  panels: z.tuple([]),
  gridPos,
});

const threshold = z.strictObject({
  value: z.number().nullable(),
  color: z.enum(['green', 'orange', 'red', 'blue', 'text']),
});

const panel = z.strictObject({
  id: z.int(),
  type: z.enum(['timeseries', 'stat', 'bargauge', 'table']),
  title: z.string().min(3).max(50),
  description: sentence,
  datasource,
  gridPos,
  fieldConfig: z.strictObject({
    defaults: z.strictObject({
      unit: z.enum(UNITS),
      min: z.number().optional(),
      max: z.number().optional(),
      decimals: z.int().min(0).optional(),
      color: z.strictObject({ mode: z.enum(['palette-classic', 'thresholds']) }),
      thresholds: z.strictObject({ mode: z.literal('absolute'), steps: z.array(threshold).min(1) }),
      mappings: z.array(z.looseObject({ type: z.literal('value') })),
      custom: z
        .strictObject({
          drawStyle: z.literal('line'),
          lineWidth: z.int(),
          showPoints: z.literal('auto'),
          spanNulls: z.boolean(),
          fillOpacity: z.number(),
          stacking: z.strictObject({ mode: z.enum(['none', 'normal']), group: z.literal('A') }),
          thresholdsStyle: z.strictObject({ mode: z.enum(['off', 'dashed']) }),
        })
        .optional(),
    }),
    overrides: z.tuple([]),
  }),
  options: z.looseObject({}),
  targets: z
    .array(
      z.strictObject({
        refId: z.string().regex(/^[A-Z]$/),
        datasource,
        expr: z.string().min(1),
        legendFormat: z.string(),
        editorMode: z.literal('code'),
        range: z.boolean(),
        instant: z.boolean(),
        format: z.enum(['time_series', 'table']),
      }),
    )
    .min(1),
  transformations: z
    .array(z.strictObject({ id: z.literal('organize'), options: z.looseObject({}) }))
    .optional(),
});

const dashboard = z.strictObject({
  uid: z.string().regex(/^ballast-[a-z]+$/),
  title: z.string().startsWith('Ballast / '),
  description: sentence,
  tags: z.tuple([z.literal('ballast')]),
  schemaVersion: z.literal(39),
  version: z.int(),
  editable: z.boolean(),
  graphTooltip: z.literal(1),
  timezone: z.literal('browser'),
  refresh: z.string(),
  time: z.strictObject({ from: z.string(), to: z.string() }),
  links: z.array(z.looseObject({})),
  annotations: z.strictObject({ list: z.tuple([]) }),
  templating: z.strictObject({
    list: z.array(
      z.looseObject({ type: z.enum(['datasource', 'query']), name: z.string(), label: z.string() }),
    ),
  }),
  panels: z.array(z.discriminatedUnion('type', [row, panel])),
});

export type PanelJson = z.infer<typeof panel>;
export type RowJson = z.infer<typeof row>;

export interface ParsedDashboard {
  readonly title: string;
  readonly variables: readonly string[];
  /** In the order of the file. */
  readonly items: readonly (PanelJson | RowJson)[];
  readonly panels: readonly PanelJson[];
  readonly rows: readonly RowJson[];
}

/** @throws ZodError for a dashboard that lacks something, or has something more. */
export function parsePanels(text: string): ParsedDashboard {
  const { title, templating, panels: items } = dashboard.parse(JSON.parse(text));
  return {
    title,
    variables: templating.list.map(({ name }) => name),
    items,
    panels: items.filter((item) => item.type !== 'row'),
    rows: items.filter((item) => item.type === 'row'),
  };
}

/** Every dashboard of grafana/dashboards, by its name. */
export function readDashboards(): ReadonlyMap<string, ParsedDashboard> {
  const folder = join(import.meta.dirname, 'dashboards');
  return new Map(
    readdirSync(folder).map((file) => [
      file.replace(/\.json$/, ''),
      parsePanels(readFileSync(join(folder, file), 'utf8')),
    ]),
  );
}
