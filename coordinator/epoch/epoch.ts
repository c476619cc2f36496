/**
 * One epoch: accuracy → quotas → shards → guided synthesis with the current weights → training on real and synthetic
 * images → validation. Its whole input is the state after the epoch before, so it may be done again from there.
 */
import { replays, type RunConfig, synthesizes } from '../../config/run-config.ts';
import { readsAnchors } from '../../config/synthesis-config.ts';
import type { OpenResult__Output } from '../../gen/ballast/v1/OpenResult.ts';
import type { TrainEpochResult__Output } from '../../gen/ballast/v1/TrainEpochResult.ts';
import type { WeightsRef__Output } from '../../gen/ballast/v1/WeightsRef.ts';
import type { EpochRecord, Fidelity, Metrics } from '../../report/records.ts';
import { decideQuota, readsAccuracy, UNMEASURED_ACCURACY } from './adaptive-sampling.ts';
import type { Crew } from '../crew/crew.ts';
import { toPreparation } from './preparation.ts';
import { countClasses, fidelityOf } from './fidelity.ts';
import type { ActorEngine } from '../../report/engines.ts';
import type { RunFolder } from '../records/run-folder.ts';
import type { RunState, SamplingState } from '../records/run-state.ts';
import { planShards } from './sharding.ts';
import { imagesEpochOf, makesImagesIn, synthesisOf } from './synthesis-plan.ts';
import {
  CALL_DEADLINE_MS,
  type ShardCrew,
  synthesizeEpoch,
  type SynthesisJob,
  type SynthesisOutcome,
  type SynthesisTools,
} from './synthesis.ts';

export interface EpochTools extends Omit<SynthesisTools, 'crew'> {
  readonly crew: Crew;
  readonly config: RunConfig;
  readonly folder: RunFolder;
  /** The trainer's findings when it was opened. */
  readonly opened: OpenResult__Output;
}

interface Plan {
  readonly sampling: SamplingState;
  /** Null for methods that make no images. */
  readonly quota: readonly number[] | null;
  readonly accuracy: readonly number[] | null;
  readonly evaluateSeconds: number;
}

interface Synthetic {
  readonly outcome: SynthesisOutcome;
  readonly weightsVersion: number;
  readonly fidelity: Fidelity | null;
  readonly toldApart: readonly (number | null)[] | null;
  readonly grid: string | null;
}

/** An epoch that is done and saved, but not committed. */
export interface DoneEpoch {
  readonly state: RunState;
  /** Folder of the attempt, with the trainer's half of the checkpoint in it. */
  readonly folder: string;
  readonly weightsDigest: string;
}

/** Does the epoch after `state.epoch` and saves the trainer's half of its checkpoint. @throws Replaced */
export async function runEpoch(state: RunState, tools: EpochTools): Promise<DoneEpoch> {
  const { crew, events, metrics, clock, folder, opened } = tools;
  const startMs = clock();
  const epoch = state.epoch + 1;
  await folder.checkpoints.checkHolder();
  metrics.epochBegun(epoch, tools.config.training.epochs);
  const plan = await decidePlan(epoch, state, tools);
  const synthetic =
    plan.quota && synthesizes(tools.config) ? await synthesize(epoch, plan.quota, tools) : null;
  const images = synthetic?.outcome.images ?? keptImages(epoch, state, tools);
  const trained = await train({ epoch, images, replay: replayQuota(epoch, plan, state, tools) }, tools);
  metrics.epochTrained(trained.step, synthetic?.weightsVersion ?? null);
  const isLast = epoch === tools.config.training.epochs;
  const predictions = isLast ? folder.predictionsPath('validation') : '';
  const validation =
    opened.validationCount > 0
      ? await evaluate('SPLIT_VALIDATION', tools, predictions)
      : { metrics: null, seconds: 0 };
  const attempt = folder.checkpoints.begin(epoch);
  const saved = await crew.trainer.handle.saveCheckpoint({ dir: attempt.trainerDir }, callOptions(tools));
  const record: EpochRecord = {
    epoch,
    ...recordOfTraining(plan, trained),
    ...recordOfSynthesis(synthetic, trained.step),
    validation: validation.metrics,
    evaluateSeconds: plan.evaluateSeconds + validation.seconds,
  };
  metrics.epochFinished(opened.classes, record);
  await events.flush();
  const after: RunState = {
    epoch,
    sampling: plan.sampling,
    records: [...state.records, record],
    seconds: state.seconds + (clock() - startMs) / 1000,
    datasetDigest: opened.datasetDigest,
  };
  return { state: after, folder: attempt.folder, weightsDigest: saved.weightsDigest };
}

function recordOfTraining(plan: Plan, { step, meanLoss, seconds }: TrainEpochResult__Output) {
  return {
    optimizerSteps: step,
    trainLoss: meanLoss,
    trainSeconds: seconds,
    samplingAccuracy: plan.accuracy,
    quota: plan.quota,
  };
}

/** `step`: of the weights that would have guided. */
function recordOfSynthesis(synthetic: Synthetic | null, step: number) {
  return {
    syntheticImages: synthetic?.outcome.images ?? 0,
    fidelity: synthetic?.fidelity ?? null,
    ...(synthetic?.toldApart && { toldApart: synthetic.toldApart }),
    weightsVersion: synthetic?.weightsVersion ?? step,
    synthesisSeconds: synthetic?.outcome.seconds ?? 0,
    shardsRedone: synthetic?.outcome.shardsRedone ?? 0,
    grid: synthetic?.grid ?? null,
  };
}

/** Evaluates the current weights on a split, and keeps what they say of each image where a path is given. */
export async function evaluate(
  split: 'SPLIT_TRAIN' | 'SPLIT_VALIDATION' | 'SPLIT_TEST' | 'SPLIT_DEVELOPMENT' | 'SPLIT_VARIANTS',
  tools: EpochTools,
  predictionsPath = '',
): Promise<{ metrics: Metrics; seconds: number }> {
  const { trainer } = tools.crew;
  const response = await trainer.handle.evaluate({ split, predictionsPath }, callOptions(tools));
  return { metrics: JSON.parse(response.metricsJson) as Metrics, seconds: response.seconds };
}

/** Quotas from training accuracy under evaluation transforms, which is 0.5 for all before the first epoch. */
async function decidePlan(epoch: number, state: RunState, tools: EpochTools): Promise<Plan> {
  const { config, opened, events, metrics } = tools;
  if (!makesImagesIn(config, epoch))
    return { sampling: state.sampling, quota: null, accuracy: null, evaluateSeconds: 0 };
  const measured =
    epoch > 1 && readsAccuracy(config.adaptiveSampling.rule) ? await measureClasses(epoch, tools) : null;
  const decision = decideQuota({
    options: config.adaptiveSampling,
    budget: config.synthesis.budget,
    classCounts: countClasses(opened.trainLabels, opened.classes.length),
    accuracy: measured?.metrics.perClassRecall.map((recall) => recall ?? UNMEASURED_ACCURACY) ?? null,
    state: state.sampling,
  });
  metrics.quotaDecided(opened.classes, decision.accuracy, decision.quota);
  events.emit({ type: 'quota', epoch, accuracy: decision.accuracy, quota: decision.quota });
  return {
    sampling: decision.state,
    quota: decision.quota,
    accuracy: measured ? decision.accuracy : null,
    evaluateSeconds: measured?.seconds ?? 0,
  };
}

/** The accuracy that quotas follow: on training images, or on fresh variants of them, which are made for it. */
async function measureClasses(
  epoch: number,
  tools: EpochTools,
): Promise<{ metrics: Metrics; seconds: number }> {
  const { config, crew, opened } = tools;
  const { measure, variants } = config.adaptiveSampling;
  if (measure === 'train') return evaluate('SPLIT_TRAIN', tools);
  const counts = countClasses(opened.trainLabels, opened.classes.length);
  const shards = planShards({
    ...{ seed: config.seed, epoch, start: 'anchored', trainLabels: anchorLabels(opened) },
    quota: counts.map((count) => (count > 0 ? variants : 0)),
    idStride: variants * opened.classes.length,
    firstId: config.training.epochs * config.synthesis.budget,
    shardSize: config.synthesis.shardSize,
  });
  const weights = await publishWeights(epoch, tools);
  const request = variantRequest(shardRequest(epoch, weights, tools), tools);
  const made = await makeShards({ epoch, shards, request }, shardCrew(crew, { variants: true }), tools);
  crew.release(weights.object!);
  const { metrics, seconds } = await evaluate('SPLIT_VARIANTS', tools);
  return { metrics, seconds: seconds + made.seconds };
}

async function synthesize(epoch: number, quota: readonly number[], tools: EpochTools): Promise<Synthetic> {
  const { config, crew, folder, opened } = tools;
  const shards = planShards({
    seed: config.seed,
    epoch,
    quota,
    idStride: config.synthesis.budget,
    shardSize: config.synthesis.shardSize,
    start: config.synthesis.start,
    trainLabels: anchorLabels(opened),
  });
  const weights = await publishWeights(epoch, tools);
  const job = { epoch, shards, request: shardRequest(epoch, weights, tools) };
  const outcome = await makeShards(job, shardCrew(crew), tools);
  crew.release(weights.object!);
  const fidelity = config.judge !== null && shards.length > 0 ? await judge(epoch, tools) : null;
  const toldApart = shards.length > 0 ? await inspect(epoch, tools) : null;
  const grid = shards.length > 0 ? folder.gridName(epoch) : null;
  if (grid !== null)
    await crew.trainer.handle.renderGrid({ epoch, path: `${folder.dir}/${grid}` }, callOptions(tools));
  return { outcome, weightsVersion: weights.version, fidelity, toldApart, grid };
}

/** Makes the shards, and records what made them. */
async function makeShards(job: SynthesisJob, crew: ShardCrew, tools: EpochTools): Promise<SynthesisOutcome> {
  const outcome = await synthesizeEpoch(job, { ...tools, crew });
  await recordEngines(outcome.engines, tools);
  return outcome;
}

/** Adds what actors computed on to environment.json. @throws Replaced */
export async function recordEngines(
  engines: readonly ActorEngine[],
  { folder }: Pick<EpochTools, 'folder'>,
): Promise<void> {
  await folder.checkpoints.checkHolder();
  await folder.addEngines(engines);
}

/** Class of each image that shards may start from. */
export function anchorLabels({ anchorLabels: own, trainLabels }: OpenResult__Output): readonly number[] {
  return own.length > 0 ? own : trainLabels;
}

/** The trainer takes the shards, to train on them or as variants to measure. */
export function shardCrew(crew: Crew, { variants = false } = {}): ShardCrew {
  const { workers, trainer } = crew;
  const keep: ShardCrew['keep'] = (shard, signal) =>
    trainer.handle.addShard({ ...shard, variants }, { deadlineMs: CALL_DEADLINE_MS, signal });
  return { workers, release: (object) => crew.release(object), keep };
}

async function publishWeights(epoch: number, tools: EpochTools): Promise<WeightsRef__Output> {
  const { weights } = await tools.crew.trainer.handle.publishWeights({}, callOptions(tools));
  if (!weights?.object) throw new Error('the trainer published no weights');
  const { version, object } = weights;
  tools.metrics.weightsPublished(version);
  tools.events.publish({
    topic: 'weights.published',
    payload: { epoch, version, digest: object.digest },
  });
  return weights;
}

function shardRequest(epoch: number, weights: WeightsRef__Output, { config, opened }: EpochTools) {
  const synthesis = synthesisOf(config, epoch);
  return {
    runSeed: config.seed,
    synthesisJson: JSON.stringify(synthesis),
    engine: config.engine,
    device: config.device,
    threads: config.threads,
    prior: opened.prior,
    anchors: readsAnchors(synthesis) ? opened.anchors : null,
    weights,
  };
}

/** The same images without guidance, each from its anchor. */
function variantRequest(request: ReturnType<typeof shardRequest>, { config, opened }: EpochTools) {
  const { synthesis } = config;
  const guidance = { ...synthesis.guidance, rule: 'none' as const, lda: 0, copies: 0, lowPass: false };
  const unguided = { ...synthesis, start: 'anchored' as const, guidance };
  return { ...request, synthesisJson: JSON.stringify(unguided), anchors: opened.anchors };
}

async function judge(epoch: number, tools: EpochTools): Promise<Fidelity | null> {
  const { config, crew, opened } = tools;
  const { images, faithful } = await crew.trainer.handle.judgeEpoch({ epoch }, callOptions(tools));
  const counts = countClasses(opened.trainLabels, opened.classes.length);
  return fidelityOf(images, faithful, counts, config.data.tailBelow);
}

async function inspect(epoch: number, tools: EpochTools): Promise<(number | null)[]> {
  const { toldApart } = await tools.crew.trainer.handle.inspectEpoch({ epoch }, callOptions(tools));
  return toldApart.map((share) => (share < 0 ? null : share));
}

/** Images that an earlier epoch made and this one trains on. */
function keptImages(epoch: number, { records }: RunState, { config }: EpochTools): number {
  const imagesEpoch = imagesEpochOf(config, epoch);
  return imagesEpoch === 0 || imagesEpoch === epoch ? 0 : records[imagesEpoch - 1]!.syntheticImages;
}

/** Real images of each class to draw again, by the quotas that made images would have; empty without replay. */
function replayQuota(
  epoch: number,
  { quota }: Plan,
  { records }: RunState,
  { config }: EpochTools,
): number[] {
  if (!replays(config)) return [];
  const imagesEpoch = imagesEpochOf(config, epoch);
  return imagesEpoch === 0 ? [] : [...(quota ?? records[imagesEpoch - 1]!.quota!)];
}

async function train(
  { epoch, images, replay }: { epoch: number; images: number; replay: number[] },
  tools: EpochTools,
): Promise<TrainEpochResult__Output> {
  const { crew, events, config } = tools;
  const shardCount = Math.ceil(images / config.synthesis.shardSize);
  const request = {
    epoch,
    imagesEpoch: synthesizes(config) ? imagesEpochOf(config, epoch) : 0,
    shardCount,
    replay,
  };
  const progress = crew.trainer.handle.trainEpoch(request, callOptions(tools));
  let outcome: TrainEpochResult__Output | null = null;
  for await (const { step, steps, loss, result, preparation } of progress) {
    if (result) outcome = result;
    else if (preparation) events.emit(toPreparation(preparation));
    else events.emit({ type: 'training', epoch, step, steps, loss });
  }
  if (!outcome) throw new Error(`the trainer ended epoch ${epoch} without a result`);
  return outcome;
}

function callOptions({ signal }: EpochTools): { deadlineMs: number; signal: AbortSignal } {
  return { deadlineMs: CALL_DEADLINE_MS, signal };
}
