/** All dashboards, and the text of their files. */
import prettier from 'prettier';
import { gpu } from './gpu.ts';
import { method } from './method.ts';
import { nats } from './nats.ts';
import { overview } from './overview.ts';
import { type Dashboard, grafanaJson } from './panels.ts';
import { runtime } from './runtime.ts';
import { synthesis } from './synthesis.ts';

export const DASHBOARDS: readonly Dashboard[] = [overview, method, synthesis, runtime, gpu, nats];

/** Content of grafana/dashboards/<name>.json. */
export async function dashboardFile(dashboard: Dashboard): Promise<string> {
  return prettier.format(JSON.stringify(grafanaJson(dashboard)), { parser: 'json', printWidth: 110 });
}
