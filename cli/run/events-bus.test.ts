import { expect, it } from 'vitest';
import { runId } from './events-bus.ts';

it.each(['demo', 'iois+oversample-seed1-92e2011fcb9f7c08.03ee8e35', 'läuft.1', 'x'.repeat(255), '/'])(
  'a run in %s has an id with which an actor may be named',
  (dir) => {
    expect(runId(`/runs/${dir}`)).toMatch(/^[A-Za-z0-9_-]{9,41}$/);
  },
);

it('differs from folder to folder, however alike they are, and is the same for the same one', () => {
  expect(runId('/a/run.1')).not.toBe(runId('/a/run_1'));
  expect(runId('/a/run')).not.toBe(runId('/b/run'));
  expect(runId('/a/./run')).toBe(runId('/a/run'));
});
