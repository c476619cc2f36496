// Dashboards: the files are what the generator says, and every panel is as Grafana and a reader need it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DASHBOARDS, dashboardFile } from './generator/dashboards.ts';
import { parsePanels } from './panel-files.ts';

const FOLDER = join(import.meta.dirname, 'dashboards');

describe.each(DASHBOARDS.map((dashboard) => ({ name: dashboard.name, dashboard })))(
  '$name',
  ({ name, dashboard }) => {
    it('is as the generator writes it (else: make docs)', async () => {
      await expect(await dashboardFile(dashboard)).toMatchFileSnapshot(join(FOLDER, `${name}.json`));
    });

    it('has panels that say what they show, in a unit, from the chosen data source, side by side', () => {
      const { panels, rows } = parsePanels(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
      expect(panels.length).toBeGreaterThan(5);
      const all = [...panels, ...rows];
      expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
      const cells = new Set<string>();
      for (const { title, gridPos } of all) {
        expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            if (cells.has(`${x} ${y}`)) expect.fail(`${title} lies on another panel`);
            cells.add(`${x} ${y}`);
          }
      }
    });

    it('uses its variables, and no others', () => {
      const text = readFileSync(join(FOLDER, `${name}.json`), 'utf8');
      const { variables } = parsePanels(text);
      const used = new Set([...text.matchAll(/\$\{?([a-z]\w*)\}?/g)].map(([, variable]) => variable));
      expect([...used].sort()).toEqual([...variables].sort());
    });
  },
);

it('has a description for every file', () => {
  const names = DASHBOARDS.map(({ name }) => `${name}.json`);
  expect(readdirSync(FOLDER).sort()).toEqual(names.sort());
});

it('refuses a panel without a unit, description or data source, and one that Grafana does not know', () => {
  const [good] = DASHBOARDS;
  const broken = (change: (panel: Record<string, unknown>) => void) => async () => {
    const dashboard = JSON.parse(await dashboardFile(good!)) as { panels: Record<string, unknown>[] };
    change(dashboard.panels[1]!);
    return parsePanels(JSON.stringify(dashboard));
  };
  const unit = (panel: Record<string, unknown>) =>
    delete (panel['fieldConfig'] as { defaults: { unit?: string } }).defaults.unit;
  return Promise.all([
    expect(broken(unit)()).rejects.toThrow(z.ZodError),
    expect(broken((panel) => delete panel['description'])()).rejects.toThrow(z.ZodError),
    expect(broken((panel) => (panel['datasource'] = 'Prometheus'))()).rejects.toThrow(z.ZodError),
    expect(broken((panel) => (panel['type'] = 'graph'))()).rejects.toThrow(z.ZodError),
    expect(broken((panel) => (panel['tittle'] = 'x'))()).rejects.toThrow(z.ZodError),
  ]);
});
