import { describe, expect, it } from 'vitest';
import { dataConfigSchema, type DataConfigInput } from '../config/data-config.ts';
import { simpleLayout } from './layout/layout.ts';
import { chooseParts, type Parts } from './parts.ts';
import { countClasses, numberedIds, type Source } from './source.ts';

/** 100 images of each of three classes, one byte a picture. */
const labels = Int32Array.from({ length: 300 }, (_, i) => i % 3);
const source: Source = {
  classes: ['a', 'b', 'c'],
  train: {
    labels,
    ids: numberedIds('train', 300),
    groups: null,
    pixels: { kind: 'raw', data: new Uint8Array(300), height: 1, width: 1, channels: 1 },
  },
  validation: null,
  test: null,
  skipped: [],
  layout: simpleLayout('arrays'),
};
/** The same, four images a group, all of one class. */
const grouped: Source = {
  ...source,
  train: { ...source.train, groups: Array.from(labels, (label, i) => `${label}-${Math.floor(i / 12)}`) },
};

function parts(config: DataConfigInput, of: Source = source): Parts {
  return chooseParts(dataConfigSchema.parse(config), of);
}

function counts(part: Parts[keyof Parts]): number[] | null {
  return part && countClasses(part.labels, 3);
}

function expectDisjoint(chosen: Parts): void {
  const ids = Object.values(chosen).flatMap((part: Parts['train'] | null) => part?.ids ?? []);
  expect(new Set(ids).size).toBe(ids.length);
}

const longTail = { ratio: 4, largest: 20 }; // 20, 10, 5 images
const unused = { from: 'unused', limit: 6 } as const;

describe('from the unused images', () => {
  it('development and archive come from what nothing else took', () => {
    const chosen = parts({
      longTail,
      validation: unused,
      development: { from: 'unused', perClass: 30 },
      archive: { from: 'unused', ratio: 2 },
    });
    expect(Object.values(chosen).map(counts)).toEqual([
      [20, 10, 5],
      [2, 2, 2],
      [30, 30, 30],
      [40, 20, 10],
      null,
    ]);
    expectDisjoint(chosen);
  });

  it('fresh images of the rare classes come last, and change nothing else', () => {
    const config = {
      longTail,
      validation: unused,
      development: { from: 'unused', perClass: 30 },
      archive: { from: 'unused', ratio: 1 },
    } as const;
    const chosen = parts({ ...config, fresh: { perClass: 25, below: 20 } });
    expect(counts(chosen.fresh)).toEqual([0, 25, 25]);
    expectDisjoint(chosen);
    expect({ ...chosen, fresh: null }).toEqual(parts(config));
    expect(() => parts({ ...config, fresh: { perClass: 99, below: 20 } })).toThrow(
      /data\.fresh\.perClass is 99: class 'b' has 48 unused images left; set it to 48 or less/,
    );
  });

  it('do not change train and validation', () => {
    const plain = parts({ longTail, validation: unused });
    const more = parts({ longTail, validation: unused, development: { from: 'unused', perClass: 9 } });
    expect(more.train.ids).toEqual(plain.train.ids);
    expect(more.validation!.ids).toEqual(plain.validation!.ids);
  });

  it('an archive without a ratio takes all that is left', () => {
    const chosen = parts({ longTail, validation: unused, archive: { from: 'unused' } });
    expect(counts(chosen.archive)).toEqual([78, 88, 93]);
    expectDisjoint(chosen);
  });

  it('another seed draws other images', () => {
    const draw = (seed: number) =>
      parts({ longTail, development: { from: 'unused', perClass: 9, seed } }).development!.ids;
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1)).toEqual(draw(1));
  });

  it('too many are refused with what there is', () => {
    expect(() => parts({ longTail, development: { from: 'unused', perClass: 81 } })).toThrow(
      "data.development.perClass is 81: class 'a' has only 80 unused images left",
    );
    expect(() =>
      parts({ longTail, archive: { from: 'unused', ratio: 9 }, validation: { from: 'none' } }),
    ).toThrow("data.archive.ratio is 9: class 'a' has 80 unused images left, not 180; set it to 4 or less");
  });

  it('need a long tail', () => {
    expect(
      dataConfigSchema.safeParse({ development: { from: 'unused' } }).error?.issues[0]?.message,
    ).toContain("'unused' needs longTail");
    expect(dataConfigSchema.safeParse({ evaluation: 'development' }).error?.issues[0]?.message).toContain(
      'data.development',
    );
  });
});

describe('from train', () => {
  const config: DataConfigInput = {
    validation: { from: 'train', fraction: 0.25 },
    development: { from: 'train', fraction: 0.2 },
    archive: { from: 'train', labelled: 0.25 },
  };

  it('development leaves first, then the archive, then validation', () => {
    const chosen = parts(config);
    // Of 100: 20 for development; of the other 80, 60 for the archive; of the 20 labelled ones, 5 for validation.
    expect(Object.values(chosen).map(counts)).toEqual([
      [15, 15, 15],
      [5, 5, 5],
      [20, 20, 20],
      [60, 60, 60],
      null,
    ]);
    expectDisjoint(chosen);
  });

  it('keeps groups whole', () => {
    const chosen = parts(config, grouped);
    const groups = Object.values(chosen).map((part: Parts['train'] | null) => [...new Set(part?.groups)]);
    expect(new Set(groups.flat()).size).toBe(groups.flat().length);
    expect(counts(chosen.development)).toEqual([20, 20, 20]);
  });
});
