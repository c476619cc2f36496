/**
 * The whole configuration of one run, validated once at the boundary: it turns a file, flags or a gRPC request into a
 * complete `RunConfig` with every default filled in. Its JSON is the run folder's config.json.
 */
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { toError, UserError } from '../common/errors.ts';
import { adaptiveSamplingConfigSchema } from './adaptive-sampling-config.ts';
import { classifierConfigSchema } from './classifier-config.ts';
import { dataConfigSchema } from './data-config.ts';
import { deviceSchema, engineSchema } from './engine.ts';
import { canonicalMethod, makesImages, methodDefaults, resolveMethod } from './method.ts';
import { mergeConfig, type PlainObject } from './merge.ts';
import { epochsBefore, synthesisConfigSchema } from './synthesis-config.ts';
import { syntheticEpochs, trainingConfigSchema } from './training-config.ts';
import { type Locate, parseStrict } from './validation.ts';

export const runConfigSchema = z.strictObject({
  data: dataConfigSchema,
  /** Presets joined by `+` (config/method.ts). */
  method: z.string().min(1).default('iois'),
  classifier: classifierConfigSchema.prefault({}),
  training: trainingConfigSchema.prefault({}),
  synthesis: synthesisConfigSchema.prefault({}),
  adaptiveSampling: adaptiveSamplingConfigSchema.prefault({}),
  /** The diffusion prior's safetensors file; null for methods that make no images. */
  prior: z.string().min(1).nullable().default(null),
  /** An independent classifier that judges class fidelity each epoch; null for none. */
  judge: z.string().min(1).nullable().default(null),
  /** Seed of all random numbers. */
  seed: z.int().min(0).default(1),
  /** Number of diffusion workers. It does not change results. */
  workers: z.int().min(1).max(4096).default(2),
  /** Compute threads of each process. They change low bits of results. */
  threads: z.int().min(1).max(1024).default(1),
  engine: engineSchema,
  device: deviceSchema,
  /** The run folder. */
  out: z.string().min(1).default('runs/run'),
  /** A NATS server for events, `nats://host:4222`; null keeps them on this machine. */
  eventsUrl: z.string().min(1).nullable().default(null),
});

export type RunConfig = z.output<typeof runConfigSchema>;

/**
 * A complete configuration from what a user wrote. The input overrides the method's own defaults; `out` defaults to
 * `runs/<method>-seed<seed>`. Throws UserError that names the field, its value and the allowed values; `locate` returns
 * the place where a field was written.
 */
export function parseRunConfig(input: unknown, locate: Locate = () => 'configuration'): RunConfig {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new UserError(`${locate([])}: a configuration is a group of fields (data, method, training, …)`);
  const written = input as PlainObject;
  const named = typeof written['method'] === 'string' ? written['method'] : 'iois';
  const method = atField(locate, ['method'], () => canonicalMethod(named));
  const config = parseStrict(
    runConfigSchema,
    mergeConfig({ data: {}, ...methodDefaults(method) }, written),
    locate,
  );
  checkTogether(config, locate);
  const out = written['out'] === undefined ? `runs/${method}-seed${config.seed}` : config.out;
  return { ...config, method, out };
}

/** Whether a run makes images: its method does, and it has a budget for them. */
export function synthesizes({ method, synthesis }: Pick<RunConfig, 'method' | 'synthesis'>): boolean {
  return makesImages(resolveMethod(method)) && synthesis.budget > 0;
}

/** Whether a run repeats real images instead of making synthetic ones, by the same quotas. */
export function replays({ method, synthesis }: Pick<RunConfig, 'method' | 'synthesis'>): boolean {
  return resolveMethod(method).synthesis === 'replay' && synthesis.budget > 0;
}

/** The configuration with every path made absolute against `base`, so that it means the same from any folder. */
export function resolvePaths(config: RunConfig, base: string): RunConfig {
  const absolute = (path: string) => (isAbsolute(path) ? path : resolve(base, path));
  const { data, classifier } = config;
  const { weights } = classifier;
  return {
    ...config,
    classifier: { ...classifier, weights: weights === null ? null : absolute(weights) },
    data: {
      ...data,
      source: data.source === 'fashion-mnist' ? data.source : absolute(data.source),
      test: data.test === null ? null : absolute(data.test),
      csv: { ...data.csv, images: data.csv.images === null ? null : absolute(data.csv.images) },
      roots: data.roots.map(absolute),
    },
    prior: config.prior === null ? null : absolute(config.prior),
    judge: config.judge === null ? null : absolute(config.judge),
    out: absolute(config.out),
  };
}

/** The ways in which a run compensates for class imbalance; the effects of two would add up. */
function priorCorrections({ method, training }: RunConfig): string[] {
  const { sampling, logitAdjustment } = resolveMethod(method);
  const { classWeights, postHocAdjustment, headRetraining } = training;
  return [
    ...(sampling === 'natural' ? [] : [`${sampling} sampling`]),
    ...(logitAdjustment > 0 ? ['logit adjustment'] : []),
    ...(classWeights === 'none' ? [] : [`training.classWeights ${classWeights}`]),
    ...(postHocAdjustment > 0 ? ['training.postHocAdjustment'] : []),
    ...(headRetraining === null ? [] : ['training.headRetraining']),
  ];
}

function checkTogether(config: RunConfig, locate: Locate): void {
  checkMethod(config, locate);
  checkEpochs(config, locate);
  checkTraining(config, locate);
  const { rule, floor, cap } = config.adaptiveSampling;
  if (rule === 'released' && (floor > 0 || cap !== null))
    throw new UserError(
      `${locate(['adaptiveSampling'])}: adaptiveSampling.rule released has no floor and no cap; ` +
        'use rule softmax, or leave them out',
    );
}

function checkMethod(config: RunConfig, locate: Locate): void {
  const [first, second] = priorCorrections(config);
  if (first !== undefined && second !== undefined)
    throw new UserError(
      `${locate(['method'])}: method ${config.method}: ${first} and ${second} both correct the class prior, twice is too much; keep one`,
    );
  if (synthesizes(config) && config.prior === null)
    throw new UserError(
      `${locate(['method'])}: method ${config.method} makes images and needs a diffusion prior; ` +
        'name one with --prior FILE (field prior), or train one with `ballast prior train`',
    );
}

/** Each part of the training needs an epoch of its own. */
function checkEpochs({ training, synthesis }: RunConfig, locate: Locate): void {
  const { epochs, headRetraining } = training;
  if (headRetraining !== null && epochs < 2)
    throw new UserError(
      `${locate(['training', 'headRetraining'])}: training.headRetraining needs at least 2 epochs, ` +
        `one for the whole network; training.epochs is ${epochs}`,
    );
  const before = epochsBefore(synthesis, epochs);
  if (before > 0 && before >= syntheticEpochs(training))
    throw new UserError(
      `${locate(['synthesis', 'after'])}: synthesis.after is ${synthesis.after}; with ${epochs} epochs, and the finish, ` +
        'no epoch is left for synthetic images',
    );
}

function checkTraining({ training, data }: RunConfig, locate: Locate): void {
  const { steps, epochs, labels, loss, postHocAdjustment } = training;
  if (loss === 'ldam' && postHocAdjustment > 0)
    throw new UserError(
      `${locate(['training', 'postHocAdjustment'])}: training.postHocAdjustment is part of the head's bias, which loss ldam does not have; set it to 0`,
    );
  if (labels.archive !== 'none' && data.archive === null)
    throw new UserError(
      `${locate(['training', 'labels', 'archive'])}: training.labels.archive needs data.archive, which says which images have no labels`,
    );
  if (steps !== null && steps < epochs)
    throw new UserError(
      `${locate(['training', 'steps'])}: training.steps is ${steps}; it must be at least training.epochs (${epochs})`,
    );
}

function atField<Value>(locate: Locate, path: readonly string[], read: () => Value): Value {
  try {
    return read();
  } catch (thrown) {
    throw new UserError(`${locate(path)}: ${toError(thrown).message}`, { cause: thrown });
  }
}
