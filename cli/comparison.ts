/** Several runs over the same data as one report. Pure, but for reading what earlier runs left. */
import { classRecalls } from '../report/class-recall.ts';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { ConfigSource } from '../config/load.ts';
import { mergeConfig } from '../config/merge.ts';
import { canonicalMethod } from '../config/method.ts';
import { parseRunConfig, resolvePaths, type RunConfig } from '../config/run-config.ts';
import { RunFolder } from '../coordinator/records/run-folder.ts';
import { finalResult } from '../report/final-result.ts';
import type { ComparisonReport, MethodReport, RunReport } from '../report/records.ts';

/** One run of a comparison. */
export interface PlannedRun {
  /** Folder inside the comparison's: `<method>-seed<k>`. */
  readonly name: string;
  readonly config: RunConfig;
}

/** Every method with every seed: seed by seed, so that whole comparisons come first. Throws UserError as parsing does. */
export function planRuns(
  source: ConfigSource,
  methods: readonly string[],
  seeds: readonly number[],
  dir: string,
  cwd: string,
): PlannedRun[] {
  const names = methods.map(canonicalMethod);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`--methods names ${twice} twice`);
  return seeds.flatMap((seed) =>
    names.map((method) => {
      const name = `${method}-seed${seed}`;
      const values = mergeConfig(source.values, { method, seed, out: join(dir, name) });
      return { name, config: resolvePaths(parseRunConfig(values, source.locate), cwd) };
    }),
  );
}

/** The existing part of a planned run. */
export type Found =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'finished'; report: RunReport };

/** Looks into the run's folder. Throws UserError when a run of another configuration is there. */
export async function findRun({ config }: PlannedRun): Promise<Found> {
  const folder = new RunFolder(config.out);
  if (!(await folder.holdsRun())) return { kind: 'nothing' };
  const difference = firstDifference(essence(await folder.readConfig()), essence(config));
  if (difference !== null)
    throw new UserError(
      `${config.out} holds a run of another configuration (${difference}); ` +
        'replace it with --overwrite, or choose another folder with --out',
    );
  const report = await folder.readReport();
  return report ? { kind: 'finished', report } : { kind: 'unfinished' };
}

/** The comparison of finished runs, in the given order. Throws UserError when they cannot be compared. */
export function comparisonOf(
  title: string,
  runs: readonly { readonly name: string; readonly report: RunReport }[],
): ComparisonReport {
  const [first] = runs;
  if (!first) throw new UserError('there is no run to compare');
  const { classes, classCounts } = first.report;
  const other = runs.find(({ report }) => report.classCounts.join() !== classCounts.join());
  if (other)
    throw new UserError(
      `${other.name} was trained on other data than ${first.name}; they cannot be compared`,
    );
  return { title, classes, classCounts, methods: runs.map(({ name, report }) => methodReport(name, report)) };
}

function methodReport(name: string, report: RunReport): MethodReport {
  const metrics = finalResult(report)?.metrics;
  if (!metrics)
    throw new UserError(
      `${name} has neither test nor validation images to compare by; name some with --test or --validation`,
    );
  const { accuracy, balancedAccuracy, macroF1, mcc } = metrics;
  const { method, seed, optimizerSteps, seconds, syntheticImages, workers, epochs } = report;
  return {
    method,
    seed,
    run: name,
    optimizerSteps,
    accuracy,
    balancedAccuracy,
    macroF1,
    mcc,
    perClassRecall: classRecalls(metrics),
    seconds,
    syntheticImages,
    workers,
    epochs,
  };
}

/** The settings that decide a run's result, or show in its report. */
function essence(config: RunConfig): unknown {
  return { ...config, out: null, eventsUrl: null };
}

/** The path of the first field in which two plain values differ, with both values; null when they are equal. */
export function firstDifference(before: unknown, now: unknown, path = ''): string | null {
  if (JSON.stringify(before) === JSON.stringify(now)) return null;
  if (isRecord(before) && isRecord(now))
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      const found = firstDifference(before[key], now[key], path === '' ? key : `${path}.${key}`);
      if (found !== null) return found;
    }
  const show = (value: unknown) => JSON.stringify(value) ?? 'nothing';
  return isRecord(before) && isRecord(now) ? null : `${path} was ${show(before)}, is ${show(now)}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
