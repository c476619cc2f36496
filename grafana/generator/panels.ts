import { withMatchers } from '../scope.ts';

/**
 * Dashboards as short descriptions, and Grafana 11's JSON of them. Everything that a panel must have (title,
 * description, unit, data source by variable, place on the grid) is required or added here, so no panel can lack it.
 */

export interface Query {
  readonly expr: string;
  /** Legend, with labels as `{{run}}`. */
  readonly legend: string;
}

export interface Threshold {
  /** Null for everything below the first one. */
  readonly from: number | null;
  readonly color: 'green' | 'orange' | 'red' | 'blue' | 'text';
}

export interface Panel {
  readonly kind: 'timeseries' | 'stat' | 'bargauge' | 'table';
  readonly title: string;
  /** The meaning of the panel, its normal values, and the meaning of a deviation. */
  readonly description: string;
  /** A unit id of Grafana's. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width?: number;
  readonly height?: number;
  readonly min?: number;
  readonly max?: number;
  readonly decimals?: number;
  readonly isStacked?: boolean;
  readonly thresholds?: readonly Threshold[];
  /** Words for values, as 0 → `none`. */
  readonly words?: Readonly<Record<number, string>>;
  /** Columns of a table, by label, with their headings. */
  readonly columns?: Readonly<Record<string, string>>;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
  /** Value of "All"; by default every existing value. `.*` also matches series without the label. */
  readonly all?: string;
}

export interface Dashboard {
  /** File name, and with `ballast-` the uid. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export const RUN: Variable = {
  name: 'run',
  label: 'Run',
  query: 'label_values(ballast_epoch, run)',
  all: '.*',
};
export const NODE: Variable = {
  name: 'node',
  label: 'Node',
  query: 'label_values(ballast_build_info, instance)',
};

/** Labels that distinguish installations. Prometheus adds these labels on Kubernetes; elsewhere, `.*` matches. */
const INSTALLATION: readonly Variable[] = [
  ['cluster', 'Cluster'] as const,
  ['namespace', 'Namespace'] as const,
  ['installation', 'Installation'] as const,
].map(([name, label]) => ({ name, label, query: `label_values(up, ${name})`, all: '.*' }));
const MATCHERS = INSTALLATION.map(({ name }) => `${name}=~"$${name}"`).join();

const WIDTHS = { timeseries: 8, stat: 3, bargauge: 8, table: 24 } as const;
const HEIGHTS = { timeseries: 8, stat: 4, bargauge: 8, table: 7 } as const;
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;
const GRID_COLUMNS = 24;

/** Grafana's JSON model of a dashboard (schema version 39, Grafana 11). */
export function grafanaJson(dashboard: Dashboard): object {
  const { name, title, description, variables, rows } = dashboard;
  return {
    uid: `ballast-${name}`,
    title: `Ballast / ${title}`,
    description,
    tags: ['ballast'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    links: [
      {
        ...{
          type: 'dashboards',
          title: 'Ballast',
          tags: ['ballast'],
          icon: 'external link',
          url: '',
          tooltip: '',
        },
        ...{ asDropdown: false, includeVars: true, keepTime: true, targetBlank: false },
      },
    ],
    annotations: { list: [] },
    templating: { list: [datasourceVariable(), ...[...INSTALLATION, ...variables].map(queryVariable)] },
    panels: layOut(rows),
  };
}

function datasourceVariable(): object {
  return {
    ...{ type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', regex: '' },
    ...{ hide: 0, refresh: 1, includeAll: false, multi: false, options: [], current: {} },
  };
}

function queryVariable({ name, label, query, all }: Variable): object {
  return {
    ...{ type: 'query', name, label, datasource: DATASOURCE, definition: query },
    query: { query, refId: name },
    ...{ hide: 0, refresh: 2, sort: 1, regex: '', includeAll: true, multi: true, options: [] },
    ...(all === undefined ? {} : { allValue: all }),
    current: { text: ['All'], value: ['$__all'] },
  };
}

/** Panels from left to right, a new line where one does not fit; a row's title above. */
function layOut(rows: readonly Row[]): object[] {
  let [x, y, lineHeight, id] = [0, 0, 0, 1];
  const placed: object[] = [];
  const newLine = () => ([x, y, lineHeight] = [0, y + lineHeight, 0]);
  for (const row of rows) {
    newLine();
    placed.push({
      ...{ id: id++, type: 'row', title: row.title, collapsed: false, panels: [] },
      gridPos: { x, y, w: GRID_COLUMNS, h: 1 },
    });
    y++;
    for (const panel of row.panels) {
      const { width = WIDTHS[panel.kind], height = HEIGHTS[panel.kind] } = panel;
      if (x + width > GRID_COLUMNS) newLine();
      placed.push({ id: id++, ...panelJson(panel), gridPos: { x, y, w: width, h: height } });
      x += width;
      lineHeight = Math.max(lineHeight, height);
    }
  }
  return placed;
}

function panelJson(panel: Panel): object {
  const { kind, title, description, queries } = panel;
  return {
    ...{ type: kind, title, description, datasource: DATASOURCE },
    fieldConfig: { defaults: fieldDefaults(panel), overrides: [] },
    options: optionsOf(panel),
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: DATASOURCE,
      ...{ expr: withMatchers(expr, MATCHERS), legendFormat: legend, editorMode: 'code' },
      ...(kind === 'timeseries' || kind === 'stat'
        ? { range: true, instant: false, format: 'time_series' }
        : { range: false, instant: true, format: kind === 'table' ? 'table' : 'time_series' }),
    })),
    ...(kind === 'table' ? { transformations: [onlyColumns(panel.columns ?? {})] } : {}),
  };
}

function fieldDefaults({ kind, unit, min, max, decimals, isStacked, thresholds, words }: Panel): object {
  const steps = (thresholds ?? [{ from: null, color: kind === 'stat' ? 'text' : 'green' }]).map(
    ({ from, color }) => ({ value: from, color }),
  );
  const lines = {
    ...{ drawStyle: 'line', lineWidth: 2, showPoints: 'auto', spanNulls: false },
    fillOpacity: isStacked ? 40 : 5,
    stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
    thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'dashed' },
  };
  return {
    unit,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(decimals === undefined ? {} : { decimals }),
    color: { mode: kind === 'timeseries' ? 'palette-classic' : 'thresholds' },
    thresholds: { mode: 'absolute', steps },
    mappings: words === undefined ? [] : [{ type: 'value', options: mappingOf(words) }],
    ...(kind === 'timeseries' ? { custom: lines } : {}),
  };
}

function mappingOf(words: Readonly<Record<number, string>>): object {
  return Object.fromEntries(Object.entries(words).map(([value, text], index) => [value, { text, index }]));
}

function optionsOf({ kind, thresholds }: Panel): object {
  const reduceOptions = { calcs: ['lastNotNull'], fields: '', values: false };
  switch (kind) {
    case 'timeseries':
      return {
        legend: {
          showLegend: true,
          displayMode: 'table',
          placement: 'bottom',
          calcs: ['lastNotNull', 'max'],
        },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'stat':
      return {
        ...{ reduceOptions, orientation: 'auto', textMode: 'auto', justifyMode: 'center' },
        ...{ colorMode: thresholds === undefined ? 'value' : 'background', graphMode: 'area' },
      };
    case 'bargauge':
      return { reduceOptions, orientation: 'horizontal', displayMode: 'basic', valueMode: 'text', showUnfilled: true }; // prettier-ignore
    case 'table':
      return { showHeader: true, cellHeight: 'sm', footer: { show: false, reducer: [], countRows: false, fields: '' } }; // prettier-ignore
    default:
      return kind satisfies never;
  }
}

function onlyColumns(columns: Readonly<Record<string, string>>): object {
  const names = Object.keys(columns);
  return {
    id: 'organize',
    options: {
      includeByName: Object.fromEntries(names.map((name) => [name, true])),
      indexByName: Object.fromEntries(names.map((name, index) => [name, index])),
      renameByName: columns,
    },
  };
}
