import { expect, it } from 'vitest';
import { createLog } from './log.ts';

function collect() {
  const lines: string[] = [];
  const now = () => new Date('2026-11-22T10:00:00Z');
  return { log: createLog({ write: (line) => lines.push(line), now, fields: { actor: 'a' } }), lines };
}

it('writes one JSON object a line, with the fields of its parents', () => {
  const { log, lines } = collect();
  log.debug('not at this level');
  log.with({ call: 'x/Y' }).info('served', { n: 2n });
  expect(lines).toEqual([
    '{"time":"2026-11-22T10:00:00.000Z","level":"info","message":"served","actor":"a","call":"x/Y","n":"2"}\n',
  ]);
});

it('writes errors with their causes, and never throws', () => {
  const { log, lines } = collect();
  log.error('failed', { error: new Error('outer', { cause: new TypeError('inner') }) });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'error',
    error: { name: 'Error', message: 'outer', cause: { name: 'TypeError', message: 'inner' } },
  });
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  log.warn('a cycle', cycle);
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ level: 'warn', message: 'a cycle' });
});
