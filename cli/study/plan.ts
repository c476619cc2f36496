/** From a study file to its runs: every row with every seed, resolved to whole configurations. Pure. */
import { resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import type { ConfigSource } from '../../config/load.ts';
import { isPlainObject, isWritten, mergeConfig, type PlainObject } from '../../config/merge.ts';
import { parseRunConfig, resolvePaths, type RunConfig } from '../../config/run-config.ts';
import { type StudyConfig, studyConfigSchema } from '../../config/study-config.ts';
import { parseStrict } from '../../config/validation.ts';

export interface PlannedRun {
  readonly row: string;
  /** Position in the study's seeds: runs of one position are pairs. */
  readonly pair: number;
  readonly seed: number;
  /** A study chooses `out` later, by content. */
  readonly config: RunConfig;
}

export interface StudyRun extends PlannedRun {
  /** Runs of equal content have equal results, and are done once. */
  readonly content: string;
  /** Digest of the code that does it; empty where folders are not named by it. */
  readonly code: string;
}

/** Throws UserError that names the field, its line and what is allowed. */
export function parseStudy(source: ConfigSource): StudyConfig {
  return parseStrict(studyConfigSchema, source.values, source.locate);
}

/** Pair by pair, so that whole comparisons come first. Throws UserError, naming the line, for a wrong setting. */
export function planStudy(study: StudyConfig, source: ConfigSource, cwd: string): PlannedRun[] {
  return study.seeds.flatMap((entry, pair) => {
    const { seed, settings } = typeof entry === 'number' ? { seed: entry, settings: {} } : entry;
    return study.rows.map((row, index) => {
      const layers: { readonly values: PlainObject; readonly path: readonly (string | number)[] }[] = [
        { values: settings, path: ['seeds', pair, 'settings'] },
        { values: row.settings, path: ['rows', index, 'settings'] },
        { values: study.settings, path: ['settings'] },
      ];
      for (const { values, path } of layers) refuseOwnFields(values, source.locate(path));
      const locate = (field: readonly (string | number)[]) => {
        const layer = layers.find(({ values }) => field.length > 0 && isWritten(values, field)) ?? layers[1]!;
        return source.locate([...layer.path, ...field]);
      };
      const written = mergeConfig(mergeConfig(study.settings, row.settings), settings);
      const config = parseRunConfig({ ...heldOut(written, study.split), seed }, locate);
      return { row: row.name, pair, seed, config: resolvePaths(config, cwd) };
    });
  });
}

/** Settings that the study itself decides. */
function refuseOwnFields(settings: PlainObject, where: string): void {
  const own = ['seed', 'out'].find((name) => settings[name] !== undefined);
  if (own !== undefined)
    throw new UserError(`${where}: the study chooses ${own} itself; take it out of the settings`);
  if (isPlainObject(settings['data']) && settings['data']['evaluation'] !== undefined)
    throw new UserError(`${where}: data.evaluation is the study's own field 'split'; set that`);
}

/**
 * Runs are scored on the study's split. Development images are held out in either case, by default the unused ones of a
 * long tail or a fifth of train, so that a study on test trains on the very images of the one it follows.
 */
function heldOut(settings: PlainObject, split: StudyConfig['split']): PlainObject {
  const data = isPlainObject(settings['data']) ? settings['data'] : {};
  const from = isPlainObject(data['longTail']) ? 'unused' : 'train';
  return mergeConfig(mergeConfig({ data: { development: { from } } }, settings), {
    data: { evaluation: split },
  });
}

/** Absolute folders of a study's results and runs. */
export function studyFolders({ out, runs }: StudyConfig, cwd: string): { out: string; runs: string } {
  const results = resolve(cwd, out);
  return { out: results, runs: runs === null ? resolve(results, 'runs') : resolve(cwd, runs) };
}
