/**
 * A method is a name made of presets joined by `+`; it resolves to independent axes. `iois+logit-adjust` makes images
 * like `iois` and trains with the loss of `logit-adjust`. Nonsensical combinations are refused.
 */
import { UserError } from '../common/errors.ts';
import { isPlainObject, mergeConfig, type PlainObject } from './merge.ts';
import { nearestName } from './validation.ts';

export type SynthesisAxis = 'none' | 'replay' | 'iois' | 'iois-released';
export type SamplingAxis = 'natural' | 'class-balanced' | 'square-root' | 'progressive';

/** The parts of a method, one field per independent choice. */
export interface MethodAxes {
  /** Source of the epoch's extra images. */
  readonly synthesis: SynthesisAxis;
  /** τ of logit adjustment: cross-entropy of z + τ log π; 0 is plain cross-entropy. */
  readonly logitAdjustment: number;
  /** How real images are drawn. */
  readonly sampling: SamplingAxis;
}

interface Preset {
  readonly axes: Partial<MethodAxes>;
  /** Its own defaults in the run's configuration, overridden by the user's settings. */
  readonly defaults?: Readonly<Record<string, unknown>>;
}

const PLAIN: MethodAxes = { synthesis: 'none', logitAdjustment: 0, sampling: 'natural' };

/** In the order of a canonical name. */
const PRESETS: Readonly<Record<string, Preset>> = {
  erm: { axes: {} },
  replay: { axes: { synthesis: 'replay' } },
  iois: { axes: { synthesis: 'iois' } },
  // The authors' code (arXiv 2403.08407): DDIM-50 from noise, gradient at the noisy x_t, floor(N·softmax(1 − a)).
  'iois-released': {
    axes: { synthesis: 'iois-released' },
    defaults: {
      synthesis: {
        start: 'noise',
        steps: 50,
        sampler: 'ddim',
        guidance: { rule: 'released-noisy', scale: 1, schedule: 'constant', softening: [1, 1] },
      },
      adaptiveSampling: { rule: 'released', temperature: 1, smoothing: 0 },
    },
  },
  oversample: { axes: { sampling: 'class-balanced' } },
  'oversample-sqrt': { axes: { sampling: 'square-root' } },
  'oversample-progressive': { axes: { sampling: 'progressive' } },
  'logit-adjust': { axes: { logitAdjustment: 1 } },
  weighted: { axes: {}, defaults: { training: { classWeights: 'inverse' } } },
  'effective-number': { axes: {}, defaults: { training: { classWeights: 'effective-number' } } },
  focal: { axes: {}, defaults: { training: { loss: 'focal' } } },
  'cb-focal': { axes: {}, defaults: { training: { loss: 'focal', classWeights: 'effective-number' } } },
  ldam: { axes: {}, defaults: { training: { loss: 'ldam' } } },
  'ldam-drw': {
    axes: {},
    defaults: { training: { loss: 'ldam', classWeights: 'effective-number', deferred: 0.2 } },
  },
  deferred: { axes: {}, defaults: { training: { deferred: 0.2 } } },
  'post-hoc': { axes: {}, defaults: { training: { postHocAdjustment: 1 } } },
  mixup: { axes: {}, defaults: { training: { mixing: { kind: 'mixup', alpha: 0.2 } } } },
  'balanced-mixup': { axes: {}, defaults: { training: { mixing: { kind: 'balanced', alpha: 0.1 } } } },
  randaugment: { axes: {}, defaults: { training: { augmentation: 'randaugment' } } },
  // Draws in the data's proportions, and evenly by class for the head: it cannot be combined with another sampling.
  crt: { axes: { sampling: 'natural' }, defaults: { training: { headRetraining: 0.3 } } },
  'self-distillation': { axes: {}, defaults: { training: { labels: { real: 'soft' } } } },
  'pseudo-labels': { axes: {}, defaults: { training: { labels: { archive: 'soft' } } } },
  'confident-pseudo-labels': { axes: {}, defaults: { training: { labels: { archive: 'confident' } } } },
  'soft-labels': { axes: {}, defaults: { training: { labels: { synthetic: 'soft' } } } },
  // Never renewed: a run has no more epochs than that.
  'one-shot': { axes: {}, defaults: { synthesis: { after: 0.3, every: 100_000 } } },
  finish: { axes: {}, defaults: { training: { finish: 0.3 } } },
};

/** Preset names of which a method consists. */
export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/**
 * The axes of a method's name. Throws UserError for an unknown preset (listing the known ones), a repeated one, two
 * presets that set the same axis, and `erm` combined with anything.
 */
export function resolveMethod(method: string): MethodAxes {
  const names = presetNames(method);
  const refuse = (why: string) => new UserError(`method '${method}' makes no sense: ${why}`);
  if (names.includes('erm') && names.length > 1)
    throw refuse(
      `erm is plain training and joins nothing; say ${names.filter((n) => n !== 'erm').join('+')}`,
    );
  const setBy = new Map<string, string>();
  let axes = PLAIN;
  for (const name of names) {
    for (const axis of Object.keys(PRESETS[name]!.axes)) {
      const earlier = setBy.get(axis);
      if (earlier === name) throw refuse(`${name} is named twice`);
      if (earlier) throw refuse(`${earlier} and ${name} both choose the ${axis}; keep one`);
      setBy.set(axis, name);
    }
    axes = { ...axes, ...PRESETS[name]!.axes };
  }
  for (const [field, [first, second]] of sharedDefaults(names))
    throw refuse(
      first === second ? `${first} is named twice` : `${first} and ${second} both choose ${field}; keep one`,
    );
  return axes;
}

/** Fields for which two of the presets give a default, with those two. */
function* sharedDefaults(names: readonly string[]): Generator<[field: string, presets: [string, string]]> {
  const setBy = new Map<string, string>();
  for (const name of names)
    for (const field of leaves(PRESETS[name]!.defaults ?? {})) {
      const earlier = setBy.get(field);
      if (earlier !== undefined) yield [field, [earlier, name]];
      setBy.set(field, name);
    }
}

function leaves(values: PlainObject, path = ''): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    isPlainObject(value) ? leaves(value, `${path}${name}.`) : [`${path}${name}`],
  );
}

/** The method's presets in one fixed order, so that equal methods have equal names. Throws as `resolveMethod`. */
export function canonicalMethod(method: string): string {
  resolveMethod(method);
  const names = presetNames(method);
  return PRESET_NAMES.filter((name) => names.includes(name)).join('+');
}

/** The configuration defaults of a method's presets, to be overridden by the user's settings. */
export function methodDefaults(method: string): Readonly<Record<string, unknown>> {
  resolveMethod(method);
  return presetNames(method)
    .map((name) => PRESETS[name]!.defaults ?? {})
    .reduce(mergeConfig, {});
}

/** Whether the method needs a diffusion prior and workers. */
export function makesImages(axes: MethodAxes): boolean {
  return axes.synthesis === 'iois' || axes.synthesis === 'iois-released';
}

function presetNames(method: string): string[] {
  const names = method.split('+').map((name) => name.trim());
  for (const name of names) {
    if (Object.hasOwn(PRESETS, name)) continue;
    const nearest = nearestName(name, PRESET_NAMES);
    throw new UserError(
      `unknown method '${name}'${method === name ? '' : ` in '${method}'`}; ` +
        `${nearest ? `did you mean ${nearest}? ` : ''}Known: ${PRESET_NAMES.join(', ')}, joined by +`,
    );
  }
  return names;
}
