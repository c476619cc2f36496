/** Runs of the list side by side: each told once, then put together as a comparison. */
import type { ComparisonReport, EpochRecord, MethodReport, Metrics } from '../../report/records.ts';
import type { RunUpdate } from '../model/run-model.ts';
import { RunStore } from './run-store.ts';
import type { LiveSource } from './source.ts';

export async function compareRuns(source: LiveSource, ids: readonly string[]): Promise<ComparisonReport> {
  const stores = await Promise.all(ids.map((id) => wholeRun(source, id)));
  const first = stores[0]?.facts;
  return {
    title: `Comparison of ${ids.length} runs`,
    classes: first?.classes ?? [],
    classCounts: first?.classCounts ?? [],
    methods: stores.map((store, index) => methodOf(store, ids[index]!)),
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

function methodOf(store: RunStore, id: string): MethodReport {
  const { facts, evaluation, epochs } = store;
  const scalar = (name: string) => evaluation?.scalars[name] ?? NaN;
  return {
    method: facts?.method ?? id,
    seed: facts?.seed ?? 0,
    run: id,
    optimizerSteps: epochs.optimizerSteps.at(-1) ?? 0,
    accuracy: scalar('accuracy'),
    balancedAccuracy: scalar('balancedAccuracy'),
    macroF1: scalar('macroF1'),
    mcc: scalar('mcc'),
    perClassRecall: (evaluation?.perClassRecall ?? []).map((value) => value ?? NaN),
    seconds: facts?.seconds ?? NaN,
    syntheticImages: epochs.syntheticImages.reduce<number>((sum, value) => sum + (value ?? 0), 0),
    workers: facts?.workers ?? 0,
    epochs: epochs.epoch.map((epoch, at) => epochOf(store, epoch, at)),
  };
}

/** What curves of a comparison read of an epoch. */
function epochOf({ epochs }: RunStore, epoch: number, at: number): EpochRecord {
  const balancedAccuracy = epochs.balancedAccuracy[at];
  const all = epochs.fidelity[at];
  return {
    epoch,
    trainLoss: epochs.trainLoss[at] ?? NaN,
    validation: typeof balancedAccuracy === 'number' ? ({ balancedAccuracy } as Metrics) : null,
    fidelity: typeof all === 'number' ? { all, tail: epochs.fidelityTail[at] ?? null, perClass: [] } : null,
  } as EpochRecord;
}
