/**
 * Trains the head on the prior's features (models/prior-head.ts) that guides one synthesis: from scratch each time, on
 * noised real images, keyed only by the run and the classifier's step, so no checkpoint contains it. Targets are
 * halfway between an image's label and the classifier's output: the head follows the classifier.
 */
import { UserError } from '../../common/errors.ts';
import { augmentBatch } from '../../data/augment.ts';
import type { Dataset } from '../../data/dataset.ts';
import { classMembers } from '../../data/long-tail.ts';
import { preprocess } from '../../data/preprocess.ts';
import { encodeModelFile } from '../../models/model-file.ts';
import type { DenoiserModel, LoadedModel } from '../../models/model-file.ts';
import { initPriorHead, priorHeadStep } from '../../models/prior-head.ts';
import { resizedValues } from '../../models/resize.ts';
import { cosineLevel } from '../../models/schedule.ts';
import { initialState, scalarInputs, scalarsSignature, STATE_PARTS } from '../../models/training-step.ts';
import { zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { fetchTree, freeTree } from '../../tensor/device-arrays.ts';
import { adamW, cosineSchedule } from '../../tensor/optimizer.ts';
import { foldIn, normal, uniform } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { specOf } from '../../tensor/tree.ts';
import type { EngineChoice } from './predictor.ts';

const BATCH = 64;
const LEARNING_RATE = 2e-3;
const WEIGHT_DECAY = 0.01;
/** Times are drawn from [0, this): pure noise carries no information. */
const LATEST = 0.95;

export interface HeadJob {
  readonly dataset: Dataset;
  readonly prior: LoadedModel<DenoiserModel>;
  /** The classifier's output for each training image: [n, classes]. */
  readonly probabilities: Float32Array;
  /** Optimiser steps. */
  readonly steps: number;
  /** Of the run and the classifier's step. */
  readonly key: Key;
  /** Steps of the classifier. */
  readonly classifierSteps: number;
  readonly choice: EngineChoice;
}

/** The trained head as a model file. Throws UserError when the loss is not a number. */
export async function trainHead(job: HeadJob): Promise<Uint8Array> {
  const { dataset, prior, steps, key } = job;
  const { network, image } = prior.model;
  const optimizer = adamW({ weightDecay: WEIGHT_DECAY });
  let state = initialState(initPriorHead(network, dataset.classes.length, foldIn(key, 'init')), optimizer);
  const first = batchOf(job, 1);
  const executable = await compile(
    priorHeadStep(network, { optimizer, clipNorm: 1 }),
    { state: specOf(state), ...specOf(first), scalars: scalarsSignature(optimizer) },
    { ...job.choice, constants: { prior: prior.params }, keep: STATE_PARTS },
  );
  for (let step = 1; step <= steps; step++) {
    const learningRate = LEARNING_RATE * cosineSchedule(step, steps);
    const scalars = scalarInputs(optimizer, { step, learningRate, averageDecay: 0 });
    const { loss, gradientNorm, ...next } = await executable.run({
      state,
      ...(step === 1 ? first : batchOf(job, step)),
      scalars,
    });
    if (!Number.isFinite(loss.data[0]!) || !Number.isFinite(gradientNorm.data[0]!))
      throw new UserError(
        `the head on the prior's features diverged at step ${step}; use another guidance.rule or prior`,
      );
    freeTree(state);
    state = next;
  }
  const { params, ...others } = state;
  freeTree(others);
  const trained = await fetchTree(params);
  await executable.dispose();
  const { classes, height, width, channels } = dataset;
  const wanted = { height, width, channels };
  return encodeModelFile(
    { kind: 'prior-head', network, image, wanted, classes, steps: job.classifierSteps },
    trained,
  );
}

/** Augmented real images of the prior's size, every class equally likely, each noised to its own time. */
function batchOf({ dataset, prior, probabilities, key }: HeadJob, step: number) {
  const { train, height, width, channels } = dataset;
  const seen = prior.model.image;
  const classes = dataset.classes.length;
  const own = foldIn(key, 'batch', step);
  const examples = balancedExamples(train.labels, classes, foldIn(own, 'examples'));
  const shape = { height, width, channels };
  const bytes = augmentBatch(train, examples, shape, (i) => foldIn(own, 'augment', i));
  const pixels = resizedValues(preprocess(bytes, BATCH, height, width, channels), BATCH, shape, seen);
  const size = seen.height * seen.width * seen.channels;
  const noise = normal(foldIn(own, 'noise'), BATCH * size);
  const images = zeros([BATCH, seen.channels, seen.height, seen.width]);
  const t = zeros([BATCH]);
  const targets = zeros([BATCH, classes]);
  uniform(foldIn(own, 'times'), BATCH).forEach((draw, i) => {
    const level = cosineLevel(draw * LATEST);
    t.data[i] = level.t;
    for (let k = i * size; k < (i + 1) * size; k++)
      images.data[k] = level.a * pixels[k]! + level.s * noise[k]!;
    const example = examples[i]!;
    for (let c = 0; c < classes; c++) {
      const label = train.labels[example] === c ? 1 : 0;
      targets.data[i * classes + c] = (label + probabilities[example * classes + c]!) / 2;
    }
  });
  return { images, t, targets } satisfies Record<string, NdArray>;
}

function balancedExamples(labels: Int32Array, classes: number, key: Key): number[] {
  const present = classMembers(labels, classes).filter((own) => own.length > 0);
  const draws = uniform(key, 2 * BATCH);
  return Array.from({ length: BATCH }, (_, i) => {
    const own = present[Math.floor(draws[2 * i]! * present.length)]!;
    return own[Math.floor(draws[2 * i + 1]! * own.length)]!;
  });
}
