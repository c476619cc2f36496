/**
 * The network of diffusers' `UNet2DModel` (Ho et al. 2006.11239 and its descendants) as plain data: its layers in the
 * order of the forward pass, under diffusers' own parameter names.
 */

/** β of the steps that the network was trained on. */
export interface TrainingNoise {
  readonly schedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  /** Of the linear schedules. */
  readonly firstBeta: number;
  readonly lastBeta: number;
  readonly steps: number;
}

export interface UNet2DConfig {
  readonly kind: 'unet2d';
  /** Colour channels of the image. */
  readonly channels: number;
  /** Features per level, highest resolution first; each level after the first has half the resolution. */
  readonly widths: readonly number[];
  /** Residual blocks of a level on the way down; one more on the way up. */
  readonly layersPerBlock: number;
  /** Which levels attend on the way down, highest resolution first. */
  readonly downAttention: readonly boolean[];
  /** Which levels attend on the way up, lowest resolution first. */
  readonly upAttention: readonly boolean[];
  /** The middle: two residual blocks with or without attention, or nothing. */
  readonly middle: 'attention' | 'plain' | 'none';
  /** Divisor of the middle's sums. */
  readonly middleScale: number;
  /** Features of an attention head; null for a single head over all. */
  readonly headWidth: number | null;
  /** Groups of every group normalisation; of the middle's attention only, null for none. */
  readonly groups: number;
  readonly middleAttentionGroups: number | null;
  /** ε of every group normalisation. */
  readonly epsilon: number;
  /** Whether time scales and shifts features, or only shifts them. */
  readonly scaleShift: boolean;
  /** Zero padding around the image of a halving convolution; 0: one pixel below and to the right. */
  readonly downsamplePadding: 0 | 1;
  /** Features of the time's sinusoids, cosines first where `cosineFirst`, and of the layers after them. */
  readonly timeFeatures: number;
  readonly timeWidth: number;
  readonly cosineFirst: boolean;
  /** Subtracted from the number of frequencies in their spacing. */
  readonly frequencyShift: number;
  readonly noise: TrainingNoise;
}

export interface ResidualBlock {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** Residual blocks, each followed by attention if `attentions` has a name, then a change of resolution. */
export interface Level {
  readonly blocks: readonly ResidualBlock[];
  readonly attentions: readonly (string | null)[];
  readonly resample: string | null;
  readonly width: number;
}

export interface Layout {
  readonly down: readonly Level[];
  /** Two blocks with an attention or null between them; null for no middle. */
  readonly middle: { readonly blocks: readonly ResidualBlock[]; readonly attention: string | null } | null;
  readonly up: readonly Level[];
}

/** Every layer in the order of the forward pass. */
export function layoutOf(config: UNet2DConfig): Layout {
  const { widths, middle } = config;
  const lowest = widths.at(-1)!;
  const block = (index: number): ResidualBlock => ({
    ...{ name: `mid_block.resnets.${index}`, inputs: lowest, outputs: lowest },
  });
  return {
    down: downLevels(config),
    middle:
      middle === 'none'
        ? null
        : {
            blocks: [block(0), block(1)],
            attention: middle === 'attention' ? 'mid_block.attentions.0' : null,
          },
    up: upLevels(config),
  };
}

function downLevels({ widths, layersPerBlock, downAttention }: UNet2DConfig): Level[] {
  return widths.map((width, level) => {
    const name = `down_blocks.${level}`;
    const above = widths[Math.max(0, level - 1)]!;
    const inputs = Array.from({ length: layersPerBlock }, (_, i) => (i === 0 ? above : width));
    const isLast = level === widths.length - 1;
    return levelOf(name, inputs, width, downAttention[level]!, isLast ? null : 'downsamplers');
  });
}

function upLevels({ widths, layersPerBlock, upAttention }: UNet2DConfig): Level[] {
  const upwards = [...widths].reverse();
  const last = upwards.length - 1;
  return upwards.map((width, level) => {
    const below = upwards[Math.max(0, level - 1)]!;
    const above = upwards[Math.min(level + 1, last)]!;
    const inputs = Array.from({ length: layersPerBlock + 1 }, (_, i) => {
      const skipped = i === layersPerBlock ? above : width;
      return (i === 0 ? below : width) + skipped;
    });
    return levelOf(
      `up_blocks.${level}`,
      inputs,
      width,
      upAttention[level]!,
      level === last ? null : 'upsamplers',
    );
  });
}

function levelOf(
  name: string,
  inputs: readonly number[],
  width: number,
  attends: boolean,
  resampler: 'downsamplers' | 'upsamplers' | null,
): Level {
  return {
    blocks: inputs.map((from, i) => ({ name: `${name}.resnets.${i}`, inputs: from, outputs: width })),
    attentions: inputs.map((_, i) => (attends ? `${name}.attentions.${i}` : null)),
    resample: resampler === null ? null : `${name}.${resampler}.0.conv`,
    width,
  };
}

/** Shapes of all parameters, by name. Attention's linear layers are 1×1 convolutions here: [out, in, 1, 1]. */
export function unet2dShapes(config: UNet2DConfig): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  const layer = (name: string, ...shape: number[]) => {
    shapes[`${name}.weight`] = shape;
    shapes[`${name}.bias`] = [shape[0]!];
  };
  const { channels, widths, timeFeatures, timeWidth, scaleShift, middleAttentionGroups } = config;
  const residual = ({ name, inputs, outputs }: ResidualBlock) => {
    layer(`${name}.norm1`, inputs);
    layer(`${name}.conv1`, outputs, inputs, 3, 3);
    layer(`${name}.time_emb_proj`, scaleShift ? 2 * outputs : outputs, timeWidth);
    layer(`${name}.norm2`, outputs);
    layer(`${name}.conv2`, outputs, outputs, 3, 3);
    if (inputs !== outputs) layer(`${name}.conv_shortcut`, outputs, inputs, 1, 1);
  };
  const attention = (name: string, width: number, isNormed = true) => {
    if (isNormed) layer(`${name}.group_norm`, width);
    for (const part of ['to_q', 'to_k', 'to_v', 'to_out.0']) layer(`${name}.${part}`, width, width, 1, 1);
  };
  layer('time_embedding.linear_1', timeWidth, timeFeatures);
  layer('time_embedding.linear_2', timeWidth, timeWidth);
  layer('conv_in', widths[0]!, channels, 3, 3);
  const { down, middle, up } = layoutOf(config);
  for (const { blocks, attentions, resample, width } of [...down, ...up]) {
    blocks.forEach(residual);
    for (const name of attentions) if (name !== null) attention(name, width);
    if (resample !== null) layer(resample, width, width, 3, 3);
  }
  middle?.blocks.forEach(residual);
  if (middle?.attention) attention(middle.attention, widths.at(-1)!, middleAttentionGroups !== null);
  layer('conv_norm_out', widths[0]!);
  layer('conv_out', channels, widths[0]!, 3, 3);
  return shapes;
}
