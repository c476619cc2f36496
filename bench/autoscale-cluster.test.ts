// Worked out by hand: shards of 10 images of 1 s, so that a shard takes 10 s.
import { describe, expect, it } from 'vitest';
import { type ClusterSettings, type RunPlan, type Scaler, simulate } from './autoscale-cluster.ts';

const RUN: RunPlan = { arrivalSeconds: 0, epochs: 2, imagesPerEpoch: 40, imageSeconds: 1, trainSeconds: 7 };
const still: Scaler = { everySeconds: 1, scale: (_now, replicas) => replicas };
const SETTINGS: ClusterSettings = {
  ...{
    runs: [RUN],
    workers: 2,
    startSeconds: 5,
    shardImages: 10,
    maxRuns: 4,
    scaler: still,
    untilSeconds: 0,
  },
};

describe('simulate', () => {
  it('takes synthesis and training in turns', () => {
    // 4 shards on 2 workers: 20 s; 7 s of training; twice.
    expect(simulate(SETTINGS)).toMatchObject({
      runSeconds: [54],
      busySeconds: 80,
      changes: 0,
      mostWorkers: 2,
    });
    expect(simulate(SETTINGS).gpuSeconds).toBe(2 * 55);
  });

  it('lets runs wait when as many go on as may, and counts from their arrival', () => {
    const runs = [RUN, { ...RUN, arrivalSeconds: 10 }];
    expect(simulate({ ...SETTINGS, runs, maxRuns: 1 }).runSeconds).toEqual([54, 98]);
  });

  it('shares workers between runs', () => {
    // 8 shards on 2 workers, one each: both epochs end after 40 s, and train at the same time.
    expect(simulate({ ...SETTINGS, runs: [RUN, RUN] }).runSeconds).toEqual([94, 94]);
  });

  it('has new workers when they have started, and lets those go on that leave until their shard is made', () => {
    const wishes: [number, number][] = [];
    const scaler: Scaler = {
      everySeconds: 1,
      scale(now, replicas, backlog) {
        wishes.push([now, backlog.get(0) ?? 0]);
        return now < 3 ? 3 : now < 12 ? replicas : 1;
      },
    };
    const { runSeconds, busySeconds, gpuSeconds, changes } = simulate({
      ...{ ...SETTINGS, workers: 1, scaler },
      runs: [{ ...RUN, epochs: 1 }],
    });
    // The first makes shards at 0 and 10 s; two more come at 5 s and make the others by 15 s, told to leave at 12 s.
    expect(runSeconds).toEqual([20 + 7]);
    expect([busySeconds, changes]).toEqual([40, 2]);
    expect(gpuSeconds).toBe(28 + 2 * 15);
    expect(wishes.slice(0, 2)).toEqual([
      [0, 40],
      [1, 40],
    ]);
    expect(wishes[11]).toEqual([11, 30]);
    expect(wishes[20]).toEqual([20, 0]);
  });

  it('is cut off when nothing ever gets done', () => {
    const none: Scaler = { everySeconds: 1000, scale: () => 0 };
    expect(() => simulate({ ...SETTINGS, workers: 0, scaler: none })).toThrow('did not end');
  });
});
