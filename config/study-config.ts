/**
 * A study file: rows (methods with their settings) over paired seeds on the same data. `settings` are common to all
 * rows; a row's own settings, then a seed's, override them. Every setting of a run is allowed there.
 */
import { z } from 'zod';

const settings = z.record(z.string(), z.unknown()).default({});

/** It names a folder and a column. */
const name = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} .,+=()-]{0,60}$/u,
    'it must be 1 to 61 letters, digits, spaces and .,+=()- of which the first is a letter or digit',
  );

const rowSchema = z.strictObject({
  /** Names the row in tables. */
  name,
  /** Settings of its runs, which override the study's. */
  settings,
});

/** Measures of report/study-results.ts. */
export const STOP_MEASURES = [
  ...(['balancedAccuracy', 'tailRecall', 'worstRecall', 'accuracy', 'macroF1'] as const),
  ...(['mcc', 'nll', 'ece', 'nllScaled', 'eceScaled'] as const),
] as const;

const stopSchema = z.strictObject({
  /** Number of seeds after which the decision is made. */
  afterSeeds: z.int().min(1).max(1000).default(2),
  /** A row continues if it beats all rows of `against` in one of these measures, with every one of those seeds. */
  measures: z.array(z.enum(STOP_MEASURES)).min(1).default(['tailRecall', 'nll']),
  /** Rows to beat, which always continue, as the ceiling does; null: the reference. */
  against: z.array(z.string().min(1)).min(1).nullable().default(null),
});

const seedSchema = z.union([
  z.int().min(0),
  z.strictObject({
    seed: z.int().min(0),
    /** Settings of this seed's runs, in every row: another draw of the tail, for example. */
    settings,
  }),
]);

export const studyConfigSchema = z
  .strictObject({
    /** Title of the report; null: the file's name. */
    title: z.string().min(1).nullable().default(null),
    /** Settings that all runs share. */
    settings,
    rows: z.array(rowSchema).min(1).max(1000),
    /** Runs of each row. Rows are compared pair by pair, seed by seed. */
    seeds: z.array(seedSchema).min(1).max(1000),
    /** Name of the row with which the others are compared; null: the first. */
    reference: z.string().min(1).nullable().default(null),
    /** Name of the row with perfect images (data.fresh); the others recover a share of its gain; null: none. */
    ceiling: z.string().min(1).nullable().default(null),
    /**
     * Rows that show the value of real images: the name of each, and how many additional real images it has per tail
     * class (data.fresh; 0 for a row without). Every other row's score is then also given in such images. null: none.
     */
    worth: z
      .record(z.string(), z.int().min(0))
      .refine((rows) => Object.keys(rows).length >= 2, 'it needs at least two rows')
      .refine(
        (rows) => new Set(Object.values(rows)).size === Object.keys(rows).length,
        'two rows have as many images',
      )
      .nullable()
      .default(null),
    /** When a row is dropped before all its seeds are done; null: never. */
    stop: stopSchema.nullable().default(null),
    /** The split that scores finished runs. In a `development` study no run even decodes a test image. */
    split: z.enum(['development', 'test']).default('development'),
    /** Runs at a time. */
    parallel: z.int().min(1).max(1024).default(1),
    /** Folder of the results; relative to where the command runs. */
    out: z.string().min(1),
    /** Folder of the runs, which studies may share; null: `runs/` inside `out`. */
    runs: z.string().min(1).nullable().default(null),
    /** Keeps finished runs of equal settings, data and engine, even if another version of the code made them. */
    acceptOtherCode: z.boolean().default(false),
  })
  .check((ctx) => {
    const { rows, reference, ceiling, worth, stop } = ctx.value;
    const names = rows.map((row) => row.name);
    const twice = names.findIndex((text, i) => names.indexOf(text) !== i);
    const refuse = (path: (string | number)[], message: string) =>
      ctx.issues.push({ code: 'custom', path, message, input: ctx.value });
    if (twice >= 0) refuse(['rows', twice, 'name'], 'another row has this name');
    const mustBeRow = (path: (string | number)[], row: string | null) => {
      if (row !== null && !names.includes(row))
        refuse(path, `it must be the name of a row (${names.join(', ')})`);
    };
    mustBeRow(['reference'], reference);
    mustBeRow(['ceiling'], ceiling);
    for (const row of Object.keys(worth ?? {}))
      if (!names.includes(row))
        refuse(['worth', row], `its name must be that of a row (${names.join(', ')})`);
    stop?.against?.forEach((row, i) => mustBeRow(['stop', 'against', i], row));
  });

export type StudyConfig = z.output<typeof studyConfigSchema>;
export type StudySeed = StudyConfig['seeds'][number];
