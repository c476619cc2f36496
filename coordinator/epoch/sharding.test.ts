import { describe, expect, it } from 'vitest';
import { planShards, type ShardPlanInput } from './sharding.ts';

const INPUT: ShardPlanInput = {
  seed: 3,
  epoch: 2,
  quota: [3, 0, 4],
  idStride: 10,
  shardSize: 4,
  start: 'anchored',
  trainLabels: [0, 2, 2, 0, 1, 2],
};

const items = (input: ShardPlanInput) => planShards(input).flatMap((shard) => shard.items);

describe('planShards', () => {
  it('cuts the ordered list into shards of one size, the last one short', () => {
    const shards = planShards(INPUT);
    expect(shards.map((shard) => [shard.index, shard.items.length])).toEqual([
      [0, 4],
      [1, 3],
    ]);
    expect(items(INPUT).map((item) => item.classIndex)).toEqual([0, 0, 0, 2, 2, 2, 2]);
  });

  it('numbers images apart from those of every other epoch', () => {
    expect(items(INPUT).map((item) => item.imageId)).toEqual([10, 11, 12, 13, 14, 15, 16]);
    expect(items({ ...INPUT, epoch: 1 })[0]!.imageId).toBe(0);
  });

  it('starts each image from a training image of its own class', () => {
    for (const { classIndex, anchorIndex } of items({ ...INPUT, quota: [40, 40, 40], idStride: 120 }))
      expect(INPUT.trainLabels[anchorIndex]).toBe(classIndex);
  });

  it('draws every anchor of a class about equally often', () => {
    const anchors = items({ ...INPUT, quota: [0, 0, 3000], idStride: 3000 }).map((item) => item.anchorIndex);
    for (const anchor of [1, 2, 5]) {
      const drawn = anchors.filter((a) => a === anchor).length;
      expect(Math.abs(drawn - 1000)).toBeLessThan(130); // 5 standard deviations of a binomial(3000, 1/3): 129
    }
  });

  it('draws the same anchor for an image id whatever the shard size or quota before it', () => {
    expect(items({ ...INPUT, shardSize: 2 })).toEqual(items(INPUT));
    expect(items({ ...INPUT, seed: 4 })).not.toEqual(items(INPUT));
  });

  it('starts from noise on request', () => {
    expect(items({ ...INPUT, start: 'noise' }).every((item) => item.anchorIndex === -1)).toBe(true);
  });

  it('is empty for an empty quota', () => {
    expect(planShards({ ...INPUT, quota: [0, 0, 0] })).toEqual([]);
  });

  it('refuses a class without anchors and quotas beyond the stride', () => {
    expect(() => planShards({ ...INPUT, quota: [0, 1], trainLabels: [0] })).toThrow(
      'class 1 has no training image',
    );
    expect(() => planShards({ ...INPUT, quota: [11] })).toThrow('11 images exceed');
  });
});
