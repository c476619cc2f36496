/** Runs of the list side by side: each is loaded once, then they are combined into a study with one row per method. */
import {
  compareRows,
  emptyResult,
  MEASURE_NAMES,
  type StudyResults,
  type StudyRunResult,
} from '../../report/study-results.ts';
import type { RunUpdate } from '../model/run-model.ts';
import { RunStore } from './run-store.ts';
import type { LiveSource } from './source.ts';

export async function compareRuns(source: LiveSource, ids: readonly string[]): Promise<StudyResults> {
  const stores = await Promise.all(ids.map((id) => wholeRun(source, id)));
  const first = stores[0]?.facts;
  const runs = stores.map((store, index) => resultOf(store, ids[index]!));
  const names = [...new Set(runs.map(({ row }) => row))];
  const reference = names.find((name) => name === 'erm') ?? names[0] ?? '';
  const rows = names.map((name) => ({ name, settings: {}, runs: runs.filter(({ row }) => row === name) }));
  return {
    format: 1,
    title: `Comparison of ${ids.length} runs`,
    ...{ split: null, reference, ceiling: null, worth: null },
    classes: first?.classes ?? [],
    classCounts: first?.classCounts ?? [],
    rows: compareRows(rows, reference),
    warnings: [],
  };
}

function wholeRun(source: LiveSource, id: string): Promise<RunStore> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const onUpdate = (update: RunUpdate) => {
      controller.abort();
      const store = new RunStore();
      store.apply(update);
      resolve(store);
    };
    source.watchRun(
      id,
      onUpdate,
      (state) => state === 'refused' && reject(new Error(`${id} cannot be read`)),
      controller.signal,
    );
  });
}

/** Runs of one seed are pairs. */
function resultOf({ facts, evaluation, epochs }: RunStore, id: string): StudyRunResult {
  const seed = facts?.seed ?? 0;
  const row = facts?.method ?? id;
  const empty = emptyResult({
    ...{ row, pair: seed, seed, dir: id, content: '', code: '', status: 'finished', reason: '' },
  });
  const measures = Object.fromEntries(MEASURE_NAMES.map((name) => [name, evaluation?.scalars[name] ?? null]));
  return {
    ...empty,
    measures: measures as StudyRunResult['measures'],
    perClassRecall: evaluation?.perClassRecall ?? [],
    curve: epochs.epoch.map((epoch, at) => ({
      epoch,
      optimizerSteps: epochs.optimizerSteps[at] ?? 0,
      trainLoss: epochs.trainLoss[at] ?? NaN,
      balancedAccuracy: epochs.balancedAccuracy[at] ?? null,
      fidelity: epochs.fidelity[at] ?? null,
    })),
    optimizerSteps: epochs.optimizerSteps.at(-1) ?? 0,
    syntheticImages: epochs.syntheticImages.reduce<number>((sum, value) => sum + (value ?? 0), 0),
    seconds: facts?.seconds ?? NaN,
    weightsDigest: facts?.weightsDigest ?? '',
  };
}
