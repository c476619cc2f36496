// One /metrics page for all processes of a run, read during the run.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { Cli } from './support/cli.ts';
import { expectLintedMetrics, hasPrometheus } from './support/prometheus.ts';
import { BUDGET, newFolder, runArgs, SHARD_SIZE } from './support/suite.ts';

/** Samples of Prometheus text: `name{labels}` to value. Throws where a sample is given twice. */
function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const place = line.lastIndexOf(' ');
    const name = line.slice(0, place);
    if (samples.has(name)) throw new Error(`${name} is given twice`);
    samples.set(name, Number(line.slice(place + 1)));
  }
  return samples;
}

const WORKERS = ['diffusion-worker-0', 'diffusion-worker-1'];

it('serves accuracy, quotas, shards, synthesis, weights and every process', async () => {
  const dir = join(newFolder('metrics'), 'run');
  const cli = Cli.start(await runArgs(dir, '--json', '--metrics-port', '0', '--epochs', '30'));
  const [, url] = await cli.poll('the address', () => /^metrics: (http:\S+)$/m.exec(cli.stderr));
  await cli.waitFor(/"type":"quota","epoch":3,/);
  const page = await eventually(async () => {
    const response = await fetch(url!);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text(); // without those that were too busy to answer
    for (const actor of ['classifier-trainer', ...WORKERS])
      expect(text).toMatch(new RegExp(`^process_resident_memory_bytes\\{.*actor="${actor}"`, 'm'));
    return text;
  });
  const samples = parseMetrics(page);
  cli.signal('SIGTERM');
  expect((await cli.ended).code).toBe(143);
  await expect(fetch(url!)).rejects.toThrow();

  if (hasPrometheus) expectLintedMetrics(page);

  const value = (name: string, ...labels: string[]) => {
    const found = [...samples].filter(
      ([sample]) => sample.startsWith(`${name}{`) && labels.every((label) => sample.includes(label)),
    );
    expect({ name, labels, found: found.length }).toEqual({ name, labels, found: 1 });
    return found[0]![1];
  };
  const classes = ['class="cross"', 'class="disc"', 'class="square"'];
  const quotas = classes.map((label) => value('ballast_class_quota', label));
  expect(quotas.reduce((a, b) => a + b, 0)).toBe(BUDGET);
  for (const label of classes) {
    const accuracy = value('ballast_class_accuracy', label);
    expect(accuracy).toBeGreaterThanOrEqual(0);
    expect(accuracy).toBeLessThanOrEqual(1);
  }
  const shards = ['pending', 'assigned', 'made', 'committed'].map((state) =>
    value('ballast_shards', `state="${state}"`),
  );
  expect(shards.reduce((a, b) => a + b, 0)).toBe(BUDGET / SHARD_SIZE);
  expect(value('ballast_queue_depth')).toBe(shards[0]);
  const epoch = value('ballast_epoch');
  expect(epoch).toBeGreaterThanOrEqual(3);
  expect(value('ballast_images_total')).toBeGreaterThanOrEqual(2 * BUDGET);
  expect(value('ballast_synthesis_seconds_count')).toBeGreaterThanOrEqual((2 * BUDGET) / SHARD_SIZE);
  expect(value('ballast_synthesis_seconds_sum')).toBeGreaterThan(0);
  // The version is the optimiser steps behind the weights: 26 an epoch.
  expect(value('ballast_weights_version') % 26).toBe(0);
  expect([0, 26]).toContain(value('ballast_weights_staleness'));
  expect(value('ballast_trainer_steps_total', 'actor="classifier-trainer"')).toBeGreaterThanOrEqual(52);
  for (const worker of WORKERS) {
    expect(value('ballast_worker_images_total', `actor="${worker}"`)).toBeGreaterThan(0);
    value('ballast_worker_queue_depth', `actor="${worker}"`);
    expect(value('process_resident_memory_bytes', `actor="${worker}"`)).toBeGreaterThan(1e7);
  }
});
