import { describe, expect, it } from 'vitest';
import { fillVariables, parseQuery } from './promql.ts';

describe('parseQuery', () => {
  it('finds selectors with their labels, and grouping labels', () => {
    const expr =
      'sum by (run) (rate(a_total{run=~"x",code!="OK"}[5m])) / on (run) group_left (kind) b offset 5m > 2 or vector(0)';
    expect(parseQuery(expr)).toEqual({
      selectors: [
        { metric: 'a_total', labels: ['run', 'code'], text: 'a_total{run=~"x",code!="OK"}' },
        { metric: 'b', labels: [], text: 'b' },
      ],
      grouping: ['run', 'run', 'kind'],
      made: [],
    });
    expect(parseQuery('label_replace(rate(a[5m]), "run", "$1", "actor", "(.*)-x")').made).toEqual(['run']);
  });

  it.each(['sum(', 'a{b=}', 'rate(a[5m]', '{run="x"}'])('refuses %s', (expr) => {
    expect(() => parseQuery(expr)).toThrow();
  });
});

it('fills variables as Grafana does, and leaves what it does not know', () => {
  const filled = fillVariables('rate(a{run=~"$run",b="${b}"}[$__rate_interval]) + $c', {
    rateInterval: '1m',
    values: { run: '.*', b: 'x' },
  });
  expect(filled).toBe('rate(a{run=~".*",b="x"}[1m]) + $c');
});
