/**
 * A dashboard as one HTML page, drawn from a Prometheus server's present answers. It replaces a Grafana where none is
 * available.
 */
import type { PanelJson, ParsedDashboard } from '../panel-files.ts';
import { fillVariables } from '../promql.ts';
import type { VariableValues } from '../queries.ts';
import { drawPanel, escapeHtml, type NamedSeries } from './charts.ts';

const PAGE_WIDTH = 1600;
const COLUMNS = 24;
const UNIT_HEIGHT = 36;
const HEADER = 50;

interface Answer {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: NamedSeries['values'];
}

/** Where the answers come from. */
export interface Source {
  query(expr: string): Promise<readonly Answer[]>;
  queryRange(expr: string, seconds: number): Promise<readonly Answer[]>;
}

export interface DrawnPage {
  readonly html: string;
  readonly heightPx: number;
  /** Titles of panels without data. */
  readonly empty: readonly string[];
}

/** Asks for every panel and draws it; `seconds` is how far back. */
export async function drawDashboard(
  dashboard: ParsedDashboard,
  source: Source,
  options: VariableValues & { readonly seconds: number },
): Promise<DrawnPage> {
  const empty: string[] = [];
  const frames: string[] = [];
  for (const item of dashboard.items) {
    if (item.type === 'row') frames.push(frame('row', item.gridPos, `<h2>${escapeHtml(item.title)}</h2>`));
    else {
      const series = await answersOf(item, source, options);
      if (series.length === 0) empty.push(item.title);
      const area = { width: toX(item.gridPos.w) - 28, height: item.gridPos.h * UNIT_HEIGHT - 52 };
      const content = drawPanel(item, series, area);
      frames.push(frame('panel', item.gridPos, `<h3 title="${escapeHtml(item.description)}">${escapeHtml(item.title)}</h3>${content}`)); // prettier-ignore
    }
  }
  const bottom = Math.max(...dashboard.items.map(({ gridPos }) => gridPos.y + gridPos.h));
  return { html: page(dashboard.title, frames), heightPx: bottom * UNIT_HEIGHT + HEADER + 20, empty };
}

async function answersOf(
  panel: PanelJson,
  source: Source,
  options: VariableValues & { readonly seconds: number },
): Promise<NamedSeries[]> {
  const series: NamedSeries[] = [];
  for (const { expr, legendFormat, instant } of panel.targets) {
    const query = fillVariables(expr, options);
    const answers = instant ? await source.query(query) : await source.queryRange(query, options.seconds);
    for (const { metric, values } of answers) {
      const name = legendFormat
        .replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '')
        .trim();
      series.push({ name, labels: metric, values });
    }
  }
  return series;
}

function toX(columns: number): number {
  return (columns * PAGE_WIDTH) / COLUMNS;
}

function frame(kind: string, { x, y, w, h }: PanelJson['gridPos'], content: string): string {
  const style = `left:${toX(x)}px;top:${y * UNIT_HEIGHT + HEADER}px;width:${toX(w) - 8}px;height:${h * UNIT_HEIGHT - 8}px`;
  return `<section class="${kind}" style="${style}">${content}</section>`;
}

function page(title: string, frames: readonly string[]): string {
  return `<!doctype html><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>
body{margin:0;background:#111217;color:#ccccdc;font:13px/1.3 sans-serif;width:${PAGE_WIDTH}px;position:relative}
h1{font-size:20px;margin:0;padding:12px 16px}h2{font-size:15px;margin:6px 8px}h3{font-size:14px;margin:0 0 6px;font-weight:600}
section{position:absolute;box-sizing:border-box}.panel{background:#181b1f;border:1px solid #2b2f36;padding:8px 10px;overflow:hidden}
.none{color:#8e98a5;text-align:center;margin-top:40px;font-size:16px}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:3px 8px;border-bottom:1px solid #2b2f36}text{font-family:sans-serif}
</style><h1>${escapeHtml(title)}</h1>${frames.join('\n')}`;
}
