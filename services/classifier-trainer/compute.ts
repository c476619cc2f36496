/** The classifier trainer's compute thread: one run. */
import { serveComputeThread } from '../../actors/compute/compute-worker.ts';
import type { ComputeContext } from '../../actors/compute/compute-worker.ts';
import type { RunConfig } from '../../config/run-config.ts';
import type { DecodeProgress } from '../../data/decode.ts';
import type { Preparation } from '../../report/records.ts';
import { graphTotals } from '../../tensor/graph-totals.ts';
import { TrainerRun } from './run.ts';
import type { EpochRequest, ShardBatch, SplitName } from './run.ts';

let current: TrainerRun | undefined;

function run(): TrainerRun {
  if (current === undefined) throw new Error('the trainer was not opened');
  return current;
}

/** Progress that `trainEpoch` reports: of its steps, and before them of the labeller's. */
export type EpochProgress = Preparation | { readonly step: number; readonly loss: number };

const operations = {
  open: async (
    { config, checkpointDir }: { config: RunConfig; checkpointDir: string },
    context: ComputeContext,
  ) => {
    const onDecode = ({ done, count, seconds }: DecodeProgress) => {
      context.throwIfCancelled();
      context.progress({ activity: 'decoding', done, total: count, seconds } satisfies Preparation);
    };
    const { run: opened, opened: description } = await TrainerRun.open(config, checkpointDir, onDecode);
    current = opened;
    return description;
  },
  evaluate: (
    { split, predictionsPath }: { split: SplitName; predictionsPath: string },
    context: ComputeContext,
  ) => run().evaluate(split, predictionsPath, () => context.throwIfCancelled()),
  exportWeights: () => run().exportWeights(),
  addShard: (shard: ShardBatch) => run().addShard(shard),
  trainEpoch: async (request: EpochRequest, context: ComputeContext) => {
    const tell = (progress: EpochProgress) => {
      context.throwIfCancelled();
      context.progress(progress);
    };
    return run().trainEpoch(request, (step, loss) => tell({ step, loss }), tell);
  },
  stepsOf: (epoch: number) => run().stepsOf(epoch),
  judgeEpoch: (epoch: number) => run().judgeEpoch(epoch),
  inspectEpoch: (epoch: number) => run().inspectEpoch(epoch),
  renderGrid: ({ epoch, path }: { epoch: number; path: string }) => run().renderGrid(epoch, path),
  saveCheckpoint: (dir: string) => run().saveCheckpoint(dir),
  exportModel: (dir: string) => run().exportModel(dir),
  graphTotals,
};
export type TrainerOperations = typeof operations;

serveComputeThread(operations);
