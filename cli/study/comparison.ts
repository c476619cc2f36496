/** A comparison is a study of one row a method, whose runs lie in folders named by method and seed. */
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import type { ConfigSource } from '../../config/load.ts';
import { mergeConfig } from '../../config/merge.ts';
import { canonicalMethod } from '../../config/method.ts';
import { parseRunConfig, resolvePaths, type RunConfig } from '../../config/run-config.ts';
import { RunFolder } from '../../coordinator/records/run-folder.ts';
import type { StudyRun } from './plan.ts';
import type { RunKeys } from './run-key.ts';
import type { KeptRun } from './runs-folder.ts';

/**
 * Every method with every seed, each in `<method>-seed<k>` inside `dir`: seed by seed, so that whole comparisons come
 * first. Throws UserError as parsing does.
 */
export function planRuns(
  source: ConfigSource,
  methods: readonly string[],
  seeds: readonly number[],
  dir: string,
  cwd: string,
): StudyRun[] {
  const names = methods.map(canonicalMethod);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`--methods names ${twice} twice`);
  return seeds.flatMap((seed, pair) =>
    names.map((method) => {
      const content = `${method}-seed${seed}`;
      const values = mergeConfig(source.values, { method, seed, out: join(dir, content) });
      const config = resolvePaths(parseRunConfig(values, source.locate), cwd);
      return { row: method, pair, seed, config, content, code: '' };
    }),
  );
}

/**
 * Finds the state of a run. Throws UserError when its folder holds a run of another configuration, or of images that have
 * changed since.
 */
export async function findRun(config: RunConfig, keys: RunKeys): Promise<KeptRun> {
  const dir = config.out;
  const folder = new RunFolder(dir);
  const code = '';
  if (!(await folder.holdsRun())) return { kind: 'nothing', dir, code };
  const difference = firstDifference(essence(await folder.readConfig()), essence(config));
  if (difference !== null)
    throw new UserError(
      `${dir} holds a run of another configuration (${difference}); ` +
        'replace it with --overwrite, or choose another folder with --out',
    );
  const { datasetDigest } = await folder.checkpoints.readState();
  if (datasetDigest !== null && datasetDigest !== (await keys.dataDigest(config)))
    throw new UserError(
      `${dir} holds a run on other images: ${config.data.source} has changed since; ` +
        'replace the runs with --overwrite, or choose another folder with --out',
    );
  const report = await folder.readReport();
  return report ? { kind: 'finished', dir, code, report } : { kind: 'unfinished', dir, code };
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
