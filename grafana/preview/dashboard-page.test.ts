import { expect, it } from 'vitest';
import { readDashboards } from '../panel-files.ts';
import { drawDashboard, type Source } from './dashboard-page.ts';

const OPTIONS = {
  rateInterval: '1m',
  values: { run: '.*', node: '.*', cluster: '.*', namespace: '.*', installation: '.*' },
  seconds: 60,
};

it('draws every panel with its title and what was answered, and names those without an answer', async () => {
  const asked: string[] = [];
  const answer = (expr: string) => {
    asked.push(expr);
    const values = [[0, 1], [1, 2], [2, NaN]] as const; // prettier-ignore
    const metric = { run: '<b>', instance: 'node-a', folder: 'runs' };
    return Promise.resolve(expr.includes('disk') ? [{ metric, values }] : []);
  };
  const source: Source = { query: answer, queryRange: answer };
  const overview = readDashboards().get('overview')!;
  const { html, empty, heightPx } = await drawDashboard(overview, source, OPTIONS);
  for (const { title } of overview.panels) expect(html).toContain(title);
  expect(html).toContain('node-a runs');
  expect(html).not.toContain('<b>');
  expect(empty).toEqual(overview.panels.map(({ title }) => title).filter((title) => title !== 'Disk used'));
  expect(asked.filter((expr) => expr.includes('$'))).toEqual([]);
  expect(heightPx).toBeGreaterThan(1000);
});
