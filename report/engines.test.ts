import { expect, it } from 'vitest';
import { actorFacts, unequalEngines } from './engines.ts';

const worker = (i: number, engine: string, choice = '') => ({ actor: `worker-${i}`, engine, choice });

it('names the actors of each engine, in the order of their numbers', () => {
  const engines = [worker(10, 'webgpu on A'), worker(2, 'webgpu on A'), worker(3, 'cpu'), worker(2, 'cpu')];
  expect(actorFacts(engines)).toEqual({
    actors: 'webgpu on A: worker-2, worker-10; cpu: worker-2, worker-3',
  });
  expect(actorFacts([])).toEqual({});
});

it('counts the names of a crowd', () => {
  const engines = Array.from({ length: 512 }, (_, i) => worker(i, 'cpu'));
  expect(actorFacts(engines)['actors']).toMatch(/^cpu: worker-0, .*, worker-7 and 504 more$/);
});

it('keeps each actor on each engine once', () => {
  const [first, second] = [worker(2, 'cpu', 'auto: 3 ms'), worker(2, 'cpu', 'auto: 4 ms')];
  expect(unequalEngines([worker(10, 'cpu'), first, second, { ...first }])).toEqual([
    first,
    second,
    worker(10, 'cpu'),
  ]);
});
