// A few seeded schedules of faults over real runs; `npm run chaos -- --minutes 15` continues for any length of time.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { newFolder, tinyRun } from '../support/suite.ts';
import { EPOCHS, type FinishedRun } from '../support/tiny-run.ts';
import { PATIENCE_MS, runSchedule } from './run-schedule.ts';
import { describe as describeSchedule, isReached, type Fault, scheduleOf } from './schedule.ts';

/**
 * Actors that sleep through a resume; a node cut off shortly; killed worker on a lossy transport; empty NATS and a full
 * disk; a node cut off for longer than its lease, and a killed command.
 */
const SEEDS = [4, 20, 32, 39, 22];

let reference: FinishedRun;
beforeAll(async () => {
  reference = await tinyRun().reference();
});

describe('schedules', () => {
  it('are functions of their seeds', () => {
    expect(scheduleOf(7, EPOCHS)).toEqual(scheduleOf(7, EPOCHS));
    expect(scheduleOf(7, EPOCHS)).not.toEqual({ ...scheduleOf(8, EPOCHS), seed: 7 });
  });

  it('hold every kind of fault', () => {
    const many = Array.from({ length: 200 }, (_, seed) => scheduleOf(seed, EPOCHS));
    const kinds = new Set(many.flatMap(({ steps }) => steps.map(({ fault }) => fault.kind)));
    const all: Record<Fault['kind'], true> = {
      kill: true,
      'kill-command': true,
      pause: true,
      'sleep-through': true,
      'empty-nats': true,
      cut: true,
    };
    expect([...kinds].sort()).toEqual(Object.keys(all).sort());
    expect(many.some(({ transport }) => transport !== null)).toBe(true);
    expect(many.some(({ diskKb }) => diskKb !== null)).toBe(true);
  });

  it.each([
    ['', false],
    ['{"type":"synthesis","epoch":2,"done":6}', false],
    ['{"type":"training","epoch":1,"step":10}', false],
    ['{"type":"epoch","record":{"epoch":1,"x":1}}', false],
    ['{"type":"training","epoch":2,"step":10}', true],
    ['{"type":"epoch","record":{"epoch":2,"x":1}}', true],
    ['{"type":"synthesis","epoch":3,"done":6}', true],
  ])('have moments that output shows: %s', (stdout, expected) => {
    expect(isReached({ epoch: 2, stage: 'training' }, stdout)).toBe(expected);
  });
});

it.each(SEEDS.map((seed) => [seed, describeSchedule(scheduleOf(seed, EPOCHS))] as const))(
  'seed %i: %s: the run ends as if nothing had happened',
  async (seed) => {
    const folder = join(newFolder('chaos'), `seed-${seed}`);
    mkdirSync(folder);
    const { violations, skipped, survived } = await runSchedule(
      scheduleOf(seed, EPOCHS),
      tinyRun(),
      reference,
      folder,
    );
    if (skipped.length > 0) console.log(`seed ${seed}: skipped: ${skipped.join('; ')}`);
    expect(violations).toEqual([]);
    expect(survived.size + skipped.length).toBeGreaterThan(0);
  },
  PATIENCE_MS + 60_000,
);
