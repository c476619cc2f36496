// Compiled graphs in the cache on disk: what one process compiles, the next one reads, and computes the same bits.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import type { GraphTotals } from '../tensor/graph-totals.ts';
import { ballast, Cli } from './support/cli.ts';
import { newFolder, runArgs } from './support/suite.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures', 'compile-and-run.mjs');
/** Two classifier steps, a denoiser step, two sampling steps, a forward pass. */
const GRAPHS = 6;

interface Outcome {
  /** SHA-256 of the bits of all results. */
  readonly results: string;
  readonly totals: GraphTotals;
  readonly stderr: string;
}

/** A new process that compiles and runs every kind of graph. */
async function compileAndRun(cache: string): Promise<Outcome> {
  const env = { ...process.env, BALLAST_GRAPH_CACHE: cache };
  const child = spawn(process.execPath, [FIXTURE], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { ...(JSON.parse(stdout) as Omit<Outcome, 'stderr'>), stderr };
}

let uncached: Outcome;
beforeAll(async () => {
  uncached = await compileAndRun('off');
  expect(uncached).toMatchObject({ totals: { compiled: GRAPHS, loaded: 0 }, stderr: '' });
});

it('compiles nothing in a second process, which computes the same bits as the first and as one without cache', async () => {
  const cache = newFolder('graphs');
  const first = await compileAndRun(cache);
  const second = await compileAndRun(cache);
  expect(first).toMatchObject({ totals: { compiled: GRAPHS, loaded: 0 }, stderr: '' });
  expect(second).toMatchObject({ totals: { compiled: 0, loaded: GRAPHS }, stderr: '' });
  expect([first.results, second.results]).toEqual([uncached.results, uncached.results]);
  const attempts = [second];
  const quicker = await eventually(async () => {
    const { totals } = attempts.pop() ?? (await compileAndRun(cache)); // one that was held up says nothing
    expect(totals.loadSeconds).toBeLessThan(first.totals.compileSeconds);
    return totals;
  });
  const rounded = (seconds: number) => seconds.toFixed(3);
  console.log(
    `${GRAPHS} graphs: ${rounded(first.totals.compileSeconds)} s compiled, ${rounded(quicker.loadSeconds)} s from the cache`,
  );
});

it('compiles a damaged graph again, and that one only', async () => {
  const cache = newFolder('graphs');
  await compileAndRun(cache);
  const path = join(cache, readdirSync(cache).sort()[0]!);
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  const repaired = { results: uncached.results, totals: { compiled: 1, loaded: GRAPHS - 1 }, stderr: '' };
  expect(await compileAndRun(cache)).toMatchObject(repaired);
  expect((await compileAndRun(cache)).totals.compiled).toBe(0);
});

it('serves processes that begin at the same time', async () => {
  const cache = newFolder('graphs');
  for (const { results, stderr } of await Promise.all([compileAndRun(cache), compileAndRun(cache)]))
    expect({ results, stderr }).toEqual({ results: uncached.results, stderr: '' });
  expect(readdirSync(cache).filter((name) => !name.endsWith('.graph'))).toEqual([]);
  expect((await compileAndRun(cache)).totals.compiled).toBe(0);
});

it('works without a cache that can be written, with one line of the log', async () => {
  const file = join(newFolder('graphs'), 'a-file');
  writeFileSync(file, '');
  const { results, totals, stderr } = await compileAndRun(join(file, 'graphs'));
  expect({ results, totals }).toMatchObject({ results: uncached.results, totals: { compiled: GRAPHS } });
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toContain('their cache cannot be used');
});

it.skipIf(process.getuid?.() === 0)(
  'reads a cache that it may not write (skipped for root, who may always)',
  async () => {
    const cache = newFolder('graphs');
    await compileAndRun(cache);
    chmodSync(cache, 0o500);
    expect(await compileAndRun(cache)).toMatchObject({ totals: { compiled: 0, loaded: GRAPHS }, stderr: '' });
    chmodSync(cache, 0o700);
  },
);

it('a second run of the same configuration compiles nothing in any process', async () => {
  const folder = newFolder('graphs');
  const flags = ['--epochs', '6', '--json'];
  expect((await ballast(await runArgs(join(folder, 'first'), ...flags))).code).toBe(0);
  const cli = Cli.start(await runArgs(join(folder, 'second'), ...flags, '--metrics-port', '0'));
  const [, url] = await cli.poll('the address', () => /^metrics: (http:\S+)$/m.exec(cli.stderr));
  await cli.waitFor(/"type":"quota","epoch":3,/);
  const actors = ['classifier-trainer', 'diffusion-worker-0', 'diffusion-worker-1'];
  const metrics = await eventually(async () => {
    const page = await (await fetch(url!)).text(); // without those that were too busy to answer
    for (const actor of actors) expect(page).toMatch(new RegExp(`^ballast_graphs_total\\{.*"${actor}"`, 'm'));
    return page;
  });
  cli.signal('SIGTERM');
  await cli.ended;
  for (const actor of actors) {
    const graphs = (source: string) =>
      [...metrics.matchAll(/^ballast_graphs_total{(.*)} (\d+)$/gm)]
        .filter(([, labels]) => labels!.includes(`"${actor}"`) && labels!.includes(`"${source}"`))
        .map(([, , count]) => Number(count));
    expect({ actor, compiled: graphs('compiled') }).toEqual({ actor, compiled: [0] });
    expect(graphs('cache')[0]).toBeGreaterThanOrEqual(2);
  }
  const environment = readFileSync(join(folder, 'second', 'environment.json'), 'utf8');
  expect(environment).toMatch(/"graphs": ?"0 compiled in 0\.00 s, 1 from the cache in \d+\.\d\d s"/);
});
