/**
 * `config.json` and `scheduler_config.json` of diffusers as a network of Ballast. Fields that do not affect the network
 * (dropout, sampling options of a scheduler) are ignored; fields that would give an unsupported network are refused by
 * name.
 */
import { z } from 'zod';
import type { Prediction } from '../../models/denoiser.ts';
import type { TrainingNoise, UNet2DConfig } from '../../models/unet2d/config.ts';

/** A field with few supported values; missing and null stand for the first. */
function only<const Value extends string | number | boolean | null>(first: Value, ...others: Value[]) {
  const known: readonly Value[] = [first, ...others];
  const listed = known
    .map((value) => (typeof value === 'string' ? `'${value}'` : String(value)))
    .join(' or ');
  return z
    .unknown()
    .default(first)
    .refine((value) => known.includes((value ?? first) as Value), {
      message: `only ${listed} can be imported`,
    })
    .transform((value) => (value ?? first) as Value);
}

const count = (most: number) => z.int().min(1).max(most);
const MOST_FEATURES = 2 ** 14;
const MOST_LEVELS = 12;

const levels = <Block extends string>(...blocks: Block[]) => z.array(z.enum(blocks)).min(1).max(MOST_LEVELS);

/** Defaults are those of diffusers' `UNet2DModel`. */
export const unet2dSchema = z.object({
  _class_name: only('UNet2DModel'),
  sample_size: z.union([count(4096), z.tuple([count(4096), count(4096)])]).nullish(),
  in_channels: z.union([z.literal(1), z.literal(3)]).default(3),
  out_channels: z.union([z.literal(1), z.literal(3)]).default(3),
  center_input_sample: only(false),
  time_embedding_type: only('positional'),
  time_embedding_dim: count(MOST_FEATURES).nullish(),
  freq_shift: z.int().min(0).max(1).default(0),
  flip_sin_to_cos: z.boolean().default(true),
  down_block_types: levels('DownBlock2D', 'AttnDownBlock2D'),
  mid_block_type: z.literal('UNetMidBlock2D').nullable().default('UNetMidBlock2D'),
  up_block_types: levels('UpBlock2D', 'AttnUpBlock2D'),
  block_out_channels: z.array(count(MOST_FEATURES)).min(1).max(MOST_LEVELS),
  layers_per_block: count(16).default(2),
  mid_block_scale_factor: z.number().positive().default(1),
  downsample_padding: z.union([z.literal(0), z.literal(1)]).default(1),
  downsample_type: only('conv'),
  upsample_type: only('conv'),
  act_fn: only('silu', 'swish'),
  attention_head_dim: count(MOST_FEATURES).nullable().default(8),
  norm_num_groups: count(MOST_FEATURES).default(32),
  attn_norm_num_groups: count(MOST_FEATURES).nullish(),
  norm_eps: z.number().positive().max(1).default(1e-5),
  resnet_time_scale_shift: only('default', 'scale_shift'),
  add_attention: z.boolean().default(true),
  class_embed_type: only(null),
  num_class_embeds: only(null),
});

type UNet2DFields = z.output<typeof unet2dSchema>;

/** Schedulers of a network that learned from x_t = √ᾱ·x0 + √(1 − ᾱ)·ε; they differ in how they sample. */
const SCHEDULERS = [
  ...['DDPMScheduler', 'DDIMScheduler', 'DDPMParallelScheduler', 'DDIMParallelScheduler', 'PNDMScheduler'],
  ...['DPMSolverMultistepScheduler', 'DPMSolverSinglestepScheduler', 'DEISMultistepScheduler'],
  ...['UniPCMultistepScheduler', 'EulerDiscreteScheduler', 'EulerAncestralDiscreteScheduler'],
] as const;

/** Defaults are those of diffusers' `DDPMScheduler`. */
export const schedulerSchema = z.object({
  _class_name: only(...SCHEDULERS),
  num_train_timesteps: z.int().min(2).max(10_000).default(1000),
  beta_start: z.number().positive().lt(1).default(1e-4),
  beta_end: z.number().positive().lt(1).default(0.02),
  beta_schedule: only('linear', 'scaled_linear', 'squaredcos_cap_v2'),
  trained_betas: only(null),
  rescale_betas_zero_snr: only(false),
  prediction_type: only('epsilon', 'v_prediction', 'sample'),
});

type SchedulerFields = z.output<typeof schedulerSchema>;

const PREDICTIONS = { epsilon: 'epsilon', v_prediction: 'v', sample: 'x0' } as const;

export function predictionOf({ prediction_type: type }: SchedulerFields): Prediction {
  return PREDICTIONS[type];
}

export function noiseOf(fields: SchedulerFields): TrainingNoise {
  return {
    schedule: fields.beta_schedule,
    firstBeta: fields.beta_start,
    lastBeta: fields.beta_end,
    steps: fields.num_train_timesteps,
  };
}

/** The network that the fields describe. */
export function networkOf(fields: UNet2DFields, noise: TrainingNoise): UNet2DConfig {
  const widths = fields.block_out_channels;
  const scaleShift = fields.resnet_time_scale_shift === 'scale_shift';
  const isAttentive = (block: string) => block.startsWith('Attn');
  const middle = fields.add_attention ? 'attention' : 'plain';
  return {
    kind: 'unet2d',
    channels: fields.in_channels,
    widths,
    layersPerBlock: fields.layers_per_block,
    downAttention: fields.down_block_types.map(isAttentive),
    upAttention: fields.up_block_types.map(isAttentive),
    middle: fields.mid_block_type === null ? 'none' : middle,
    middleScale: fields.mid_block_scale_factor,
    headWidth: fields.attention_head_dim,
    groups: fields.norm_num_groups,
    middleAttentionGroups: fields.attn_norm_num_groups ?? (scaleShift ? null : fields.norm_num_groups),
    epsilon: fields.norm_eps,
    scaleShift,
    downsamplePadding: fields.downsample_padding,
    timeFeatures: widths[0]!,
    timeWidth: fields.time_embedding_dim ?? 4 * widths[0]!,
    cosineFirst: fields.flip_sin_to_cos,
    frequencyShift: fields.freq_shift,
    noise,
  };
}

/** The inconsistency between the fields; null if they are consistent. */
export function misfitOf(fields: UNet2DFields): string | null {
  const widths = fields.block_out_channels;
  const levelCount = widths.length;
  for (const name of ['down_block_types', 'up_block_types'] as const)
    if (fields[name].length !== levelCount)
      return `${name} has ${fields[name].length} entries, block_out_channels ${levelCount}; the numbers must be equal`;
  if (fields.in_channels !== fields.out_channels)
    return `out_channels is ${fields.out_channels}, in_channels ${fields.in_channels}; a network that also puts out variances is not supported`;
  const ungrouped = widths.find((width) => width % fields.norm_num_groups !== 0);
  if (ungrouped !== undefined)
    return `block_out_channels holds ${ungrouped}, which is not a multiple of norm_num_groups (${fields.norm_num_groups})`;
  if (widths[0]! < 4) return `block_out_channels begins with ${widths[0]!}; it must be at least 4`;
  const head = fields.attention_head_dim;
  const attending = attendingWidths(fields);
  const headless = attending.find((width) => head !== null && width % head !== 0);
  if (headless !== undefined)
    return `attention_head_dim is ${head!}, which does not divide the ${headless} features that attend`;
  const middleGroups = fields.attn_norm_num_groups ?? 1;
  if (widths.at(-1)! % middleGroups !== 0)
    return `attn_norm_num_groups is ${middleGroups}, which does not divide ${widths.at(-1)!} features`;
  return null;
}

function attendingWidths(fields: UNet2DFields): number[] {
  const { block_out_channels: widths, down_block_types: down, up_block_types: up } = fields;
  const upwards = [...widths].reverse();
  return [
    ...widths.filter((_, level) => down[level] === 'AttnDownBlock2D'),
    ...upwards.filter((_, level) => up[level] === 'AttnUpBlock2D'),
    ...(fields.mid_block_type !== null && fields.add_attention ? [widths.at(-1)!] : []),
  ];
}
