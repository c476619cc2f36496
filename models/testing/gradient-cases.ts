/** Whole networks whose gradients are compared tensor by tensor: between engines, and with PyTorch. For tests only. */
import type { DeviceName } from '../../common/engine-names.ts';
import { float32, sizeOf } from '../../tensor/array.ts';
import type { ArrayMap, NdArray, TypedArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn, keyFromSeed, normal, uniform } from '../../tensor/random.ts';
import { specOf } from '../../tensor/tree.ts';
import { initClassifier } from '../classifier.ts';
import type { ClassifierConfig } from '../classifier.ts';
import { cosineLevel } from '../schedule.ts';
import { classifierGradients, denoiserGradients } from '../training-step.ts';
import type { ClassifierBatch, DenoiserBatch } from '../training-step.ts';
import { initUNet } from '../unet.ts';
import type { UNetConfig } from '../unet.ts';

export interface GradientCase {
  readonly params: ArrayMap;
  readonly batch: Readonly<Record<string, NdArray>>;
  /** Loss and gradients by parameter. */
  run(engine: string, device?: DeviceName): Promise<{ readonly loss: number; readonly gradients: ArrayMap }>;
}

const key = keyFromSeed(11);

function drawn(stream: string, shape: readonly number[], scale = 1): NdArray {
  const data = normal(foldIn(key, stream), sizeOf(shape)).map((value) => value * scale);
  return { dtype: 'float32', shape, data };
}

/** Moves every parameter a little, because layers that start at zero would hide errors. */
function moved(params: ArrayMap): ArrayMap {
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape, data }]) => {
      const noise = drawn(name, shape, 0.05).data;
      return [
        name,
        float32(
          shape,
          Array.from(data, (value, i) => value + noise[i]!),
        ),
      ];
    }),
  );
}

function between(low: number, high: number, stream: string, count: number): NdArray {
  const values = uniform(foldIn(key, stream), count);
  return float32([count], Array.from(values, (value) => low + (high - low) * value)); // prettier-ignore
}

/** `rows` noise images of `size` px, the last row padding. */
export function classifierCase(config: ClassifierConfig, rows: number, size: number): GradientCase {
  const params = moved(initClassifier(config, key));
  const { channels, classes } = config;
  const batch: ClassifierBatch<NdArray> = {
    images: drawn('images', [rows, channels, size, size], 0.5),
    labels: float32([rows, classes], Array.from({ length: rows * classes }, (_, i) => Number(i % classes === Math.floor(i / classes) % classes))), // prettier-ignore
    mask: float32([rows], Array.from({ length: rows }, (_, i) => Number(i < rows - 1))), // prettier-ignore
    weights: between(0.5, 1.5, 'weights', rows),
    adjustment: drawn('adjustment', [classes]),
  };
  return gradientCase(classifierGradients(config), params, batch);
}

/** A denoiser that predicts velocity, with `rows` images of `size` px at levels spread over the schedule. */
export function denoiserCase(config: UNetConfig, rows: number, size: number): GradientCase {
  const params = moved(initUNet(config, key));
  const levels = Array.from({ length: rows }, (_, i) => cosineLevel((i + 0.5) / rows));
  const shape = [rows, config.channels, size, size];
  const batch: DenoiserBatch<NdArray> = {
    images: drawn('images', shape, 0.5),
    noise: drawn('noise', shape),
    t: float32([rows], levels.map(({ t }) => t)), // prettier-ignore
    a: float32([rows], levels.map(({ a }) => a)), // prettier-ignore
    s: float32([rows], levels.map(({ s }) => s)), // prettier-ignore
    weights: between(0.5, 1.5, 'weights', rows),
  };
  return gradientCase(denoiserGradients(config, 'v'), params, batch);
}

function gradientCase(
  gradientsOf: unknown,
  params: ArrayMap,
  batch: Readonly<Record<string, NdArray>>,
): GradientCase {
  const inputs = { params, batch };
  return {
    ...inputs,
    run: async (engine, device) => {
      const executable = await compile(gradientsOf as never, specOf(inputs) as never, { engine, device });
      const { loss, gradients } = (await executable.run(inputs as never)) as unknown as Results;
      await executable.dispose();
      return { loss: loss.data[0]!, gradients };
    },
  };
}

interface Results {
  readonly loss: NdArray;
  readonly gradients: ArrayMap;
}

/** ‖a − b‖ / ‖b‖ of each array, by name; NaN if either contains one. Throws RangeError when names or shapes differ. */
export function relativeDifferences(actual: ArrayMap, expected: ArrayMap): Record<string, number> {
  if (Object.keys(actual).sort().join() !== Object.keys(expected).sort().join())
    throw new RangeError('the arrays have other names');
  return Object.fromEntries(
    Object.entries(expected).map(([name, { data, shape }]) => {
      if (actual[name]!.shape.join() !== shape.join()) throw new RangeError(`${name}: another shape`);
      const other = actual[name]!.data;
      return [name, norm(data.map((value, i) => value - other[i]!)) / norm(data)];
    }),
  );
}

function norm(values: TypedArray): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}
