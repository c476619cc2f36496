/**
 * A stage of a run's training: the values of the network that train, their compiled step, and the run's steps that it
 * covers. A run has one stage, or, with `training.headRetraining`, two (cRT, Kang et al. 1910.09217): the whole
 * network, and then a newly drawn head on the frozen rest. Each stage is independent: it has new optimiser memory, and
 * a whole learning-rate schedule.
 */
import type { TrainingConfig } from '../../config/training-config.ts';
import { headEpochs, stepsBy } from '../../config/training-config.ts';
import { ldamMargins } from '../../models/losses.ts';
import type { ClassifierLoss } from '../../models/losses.ts';
import type { ImageShape } from '../../models/model-file.ts';
import {
  classifierStep,
  initialState,
  scalarInputs,
  scalarsSignature,
  STATE_PARTS,
} from '../../models/training-step.ts';
import type { ClassifierBatch, TrainingState } from '../../models/training-step.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import {
  adamW,
  constantSchedule,
  cosineSchedule,
  sgd,
  stepSchedule,
  withWarmup,
} from '../../tensor/optimizer.ts';
import type { Optimizer } from '../../tensor/optimizer.ts';
import { specOf } from '../../tensor/tree.ts';
import type { NetworkValues } from './network.ts';
import type { EngineChoice } from './predictor.ts';

/** Steps of the run, from 0: those before a stage, and those of the stage. */
export interface StageSpan {
  readonly before: number;
  readonly steps: number;
}

export type AdvancedState = TrainingState<NdArray> & { loss: NdArray; gradientNorm: NdArray };

export interface StageOptions {
  readonly training: TrainingConfig;
  readonly noiseAware: boolean;
  readonly image: ImageShape;
  /** Training images of each class. */
  readonly counts: readonly number[];
  readonly choice: EngineChoice;
}

export interface Stage {
  readonly span: StageSpan;
  /** Before its first step. */
  readonly initial: TrainingState<NdArray>;
  readonly pass: NetworkValues['pass'];
  /** The state after the `step`-th step of the run. */
  advance(
    state: TrainingState<NdArray>,
    batch: ClassifierBatch<NdArray>,
    step: number,
  ): Promise<AdvancedState>;
  dispose(): Promise<void>;
}

/** The stages of a run of `total` steps: that of the whole network, and that of the head alone, which may have none. */
export function stageSpans(training: TrainingConfig, total: number): { whole: StageSpan; head: StageSpan } {
  const { epochs } = training;
  const before = stepsBy(epochs - headEpochs(training), epochs, total);
  return { whole: { before: 0, steps: before }, head: { before, steps: total - before } };
}

/** Compiles the stage's step. */
export async function openStage(
  values: NetworkValues,
  span: StageSpan,
  options: StageOptions,
): Promise<Stage> {
  const { training, noiseAware, image, counts, choice } = options;
  const optimizer = optimizerOf(training);
  const initial = initialState(values.params, optimizer, values.buffers);
  const rows = training.batchSize * (noiseAware ? 2 : 1);
  const perRow = { shape: [rows], dtype: 'float32' } as const;
  const stepOptions = { optimizer, clipNorm: training.clipNorm ?? Infinity, ...values.pass };
  const executable = await compile(
    classifierStep(values.network, stepOptions, ...lossOf(training, counts)),
    {
      state: specOf(initial),
      batch: {
        images: { shape: [rows, image.channels, image.height, image.width], dtype: 'float32' },
        labels: { shape: [rows, counts.length], dtype: 'float32' },
        mask: perRow,
        weights: perRow,
        adjustment: { shape: [counts.length], dtype: 'float32' },
      },
      scalars: scalarsSignature(optimizer),
    },
    { ...choice, keep: STATE_PARTS },
  );
  return {
    span,
    initial,
    pass: values.pass,
    advance: (state, batch, step) => executable.run({ state, batch, scalars: scalarsAt(step, span, training, optimizer) }), // prettier-ignore
    dispose: () => executable.dispose(),
  };
}

const SCHEDULES = { cosine: cosineSchedule, step: stepSchedule, constant: constantSchedule } as const;

function scalarsAt(
  step: number,
  { before, steps }: StageSpan,
  { learningRate, warmupSteps, schedule }: TrainingConfig,
  optimizer: Optimizer,
): ArrayMap {
  const own = step - before;
  const rate = learningRate * withWarmup(warmupSteps, SCHEDULES[schedule])(own, steps);
  return scalarInputs(optimizer, { step: own, learningRate: rate, averageDecay: 0 });
}

/** Nothing for cross-entropy, whose graphs are those of a step without a choice of loss. */
export function lossOf(training: TrainingConfig, counts: readonly number[]): [] | [ClassifierLoss] {
  const { loss, focalGamma, ldamMargin, ldamScale } = training;
  if (loss === 'focal') return [{ kind: 'focal', gamma: focalGamma }];
  if (loss === 'cross-entropy') return [];
  const margins = ldamMargins(counts, ldamMargin).map((margin) => ldamScale * margin);
  return [{ kind: 'margin', margins }];
}

function optimizerOf({ optimizer, momentum, weightDecay }: TrainingConfig): Optimizer {
  return optimizer === 'sgd' ? sgd({ momentum, weightDecay }) : adamW({ weightDecay });
}
