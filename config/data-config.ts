/**
 * The `data` part of a run's configuration: where the images are, how they are read, and how they are split into train,
 * validation and test. Strict: an unknown field is refused. Every field has a default.
 */
import { z } from 'zod';

const path = z.string().min(1);
const seed = z.int().min(0).default(0);

const csvSchema = z.strictObject({
  /** Folder that holds the images, subfolders included; null: the folder of the CSV file. */
  images: path.nullable().default(null),
  /** Column names; null: the usual names are tried (data/csv.ts). */
  idColumn: path.nullable().default(null),
  /** The class of each image; names joined by commas are columns of 0 and 1, one per class. */
  labelColumn: path.nullable().default(null),
  /** Images with equal values never lie on both sides of a split (lesion, patient); 'none': no such column. */
  groupColumn: path.nullable().default(null),
  /** Values train, validation (val, valid) and test; 'none': no such column. */
  splitColumn: path.nullable().default(null),
  /** A row without a label (empty, NaN, NA), or with several: refuse the table, or skip the row and count it. */
  missingLabels: z.enum(['fail', 'skip']).default('fail'),
});

/**
 * `train`: the data's own validation split if it has one, otherwise `fraction` of every class's train images. `unused`:
 * at most `limit` images, the same number of each class, from those that long-tailing removed from train.
 */
const validationSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('train'), fraction: z.number().min(0).max(0.5).default(0.1), seed }),
  z.strictObject({ from: z.literal('unused'), limit: z.int().min(1).default(1000), seed }),
  z.strictObject({ from: z.literal('none') }),
]);

const longTailSchema = z.strictObject({
  /** Images of the first class for each image of the last. */
  ratio: z.number().min(1),
  /** Images of the first class; null: as many as every class allows. */
  largest: z.int().min(1).nullable().default(null),
  seed,
});

/**
 * Held-out images for choosing settings, so that test images stay unused. `unused`: `perClass` of each class from those
 * that long-tailing removed (and validation did not take). `train`: a share of every class's train images, whole
 * groups.
 */
const developmentSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('unused'), perClass: z.int().min(1).default(500), seed }),
  z.strictObject({ from: z.literal('train'), fraction: z.number().gt(0).max(0.5).default(0.2), seed }),
]);

/**
 * Images whose labels are dropped, for the prior and for pseudo-labels. `unused`: from those that long-tailing removed
 * (and nothing else took), `ratio` per train image of their class, so with the same imbalance; null takes all. `train`:
 * only the share `labelled` of the train images keeps its labels, whole groups; the rest is the archive.
 */
const archiveSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('unused'), ratio: z.number().gt(0).nullable().default(null), seed }),
  z.strictObject({ from: z.literal('train'), labelled: z.number().gt(0).lt(1).default(0.1), seed }),
]);

/**
 * The yardstick for synthesis: `perClass` more labelled train images for every class with fewer than `below`, from
 * those that long-tailing removed and nothing else took. Metrics still group those classes by their original size.
 */
const freshSchema = z.strictObject({
  perClass: z.int().min(1),
  below: z.int().min(1).default(200),
  seed,
});

export const dataConfigSchema = z
  .strictObject({
    /** 'fashion-mnist' (the default), or the path of a folder, CSV file or NPZ file. */
    source: path.default('fashion-mnist'),
    /** Layout of `source`; `auto` detects it. */
    format: z.enum(['auto', 'image-folder', 'csv', 'npz', 'idx']).default('auto'),
    /** Side of the square images in pixels; null: unchanged (all images must then have the same size). */
    imageSize: z.int().min(4).max(1024).nullable().default(null),
    /** 1 grey, 3 colour; null: as in the data. */
    channels: z
      .union([z.literal(1), z.literal(3)])
      .nullable()
      .default(null),
    /**
     * How a non-square image becomes a square of `imageSize`: `crop` keeps its middle, `pad` keeps everything and adds
     * black borders, `fit` stretches it.
     */
    resize: z.enum(['crop', 'pad', 'fit']).default('crop'),
    csv: csvSchema.prefault({}),
    /** Path of the test images; null: the source's own test split, if it has one. */
    test: path.nullable().default(null),
    /**
     * Share of every class's images that becomes test if the source has no test split; groups stay whole. Null: none.
     */
    testFraction: z.number().gt(0).max(0.5).nullable().default(null),
    validation: validationSchema.prefault({ from: 'train' }),
    /** Makes an exponential long tail from balanced data; null leaves the classes unchanged. */
    longTail: longTailSchema.nullable().default(null),
    /** Held-out images for choosing settings; null holds none out. */
    development: developmentSchema.nullable().default(null),
    /** Unlabelled images; null for none. */
    archive: archiveSchema.nullable().default(null),
    /**
     * Additional real images of the rare classes, to measure how many real images synthesis is worth; null for none.
     */
    fresh: freshSchema.nullable().default(null),
    /** The split on which the finished run is scored; with `development`, test images are not even decoded. */
    evaluation: z.enum(['test', 'development']).default('test'),
    /** A class with fewer train images than this belongs to the tail. */
    tailBelow: z.int().min(1).default(200),
    /** Unreadable images: skip them, named and counted, or refuse the data. */
    onBadImage: z.enum(['skip', 'fail']).default('fail'),
    /** Folders that are searched for a named data set (`<root>/fashion-mnist`), before the usual places. */
    roots: z.array(path).default([]),
  })
  .refine((data) => data.validation.from !== 'unused' || data.longTail !== null, {
    path: ['validation', 'from'],
    message: "'unused' needs longTail: without it no image is left over; use 'train'",
  })
  .check((ctx) => {
    const { longTail, development, archive, evaluation } = ctx.value;
    const refuse = (path: string[], message: string) =>
      ctx.issues.push({ code: 'custom', path, message, input: ctx.value });
    for (const [name, part] of Object.entries({ development, archive }))
      if (part?.from === 'unused' && longTail === null)
        refuse([name, 'from'], "'unused' needs longTail: without it no image is left over; use 'train'");
    if (ctx.value.fresh !== null && longTail === null)
      refuse(['fresh'], 'it needs longTail: without it no image is left over; use null');
    if (evaluation === 'development' && development === null)
      refuse(['evaluation'], 'it needs data.development, which says what to hold out');
  });

export type DataConfig = z.output<typeof dataConfigSchema>;
/** The configuration as a user writes it: defaults may be left out. */
export type DataConfigInput = z.input<typeof dataConfigSchema>;
