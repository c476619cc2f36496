/** Diagnoses training that diverged: finds the first tensor with a number that is not finite. */
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import type { EngineOptions } from '../tensor/program.ts';
import type { Tensor } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import type { LossGradients, TrainingState } from './training-step.ts';

/** Names of the arrays that hold NaN or an infinity, in order. */
export function notFinite(arrays: ArrayMap): string[] {
  return Object.entries(arrays)
    .filter(([, { data }]) => !data.every(Number.isFinite))
    .map(([name]) => name);
}

/** A sentence about parameters, moving average or optimiser memory that are not finite; null if all are. */
export function brokenState({ params, buffers, average, optimizer }: TrainingState<NdArray>): string | null {
  const slots = Object.entries(optimizer).map(
    ([slot, arrays]) => [`optimiser's ${slot} of`, arrays] as const,
  );
  const parts = [['parameter', params], ['buffer', buffers], ['average of', average], ...slots] as const;
  for (const [kind, arrays] of parts) {
    const text = sentence(kind, arrays);
    if (text !== null) return text;
  }
  return null;
}

/**
 * Explains why a step from `state` gave a loss or a norm that is not finite: a broken parameter, otherwise a broken
 * gradient, in the order of the forward pass. `gradientsOf` is compiled for this.
 */
export async function explainDivergence<Batch extends Readonly<Record<string, NdArray>>>(
  gradientsOf: (inputs: {
    readonly params: Readonly<Record<string, Tensor>>;
    readonly buffers: Readonly<Record<string, Tensor>>;
    readonly batch: Record<keyof Batch, Tensor>;
  }) => LossGradients,
  { state, batch }: { readonly state: TrainingState<NdArray>; readonly batch: Batch },
  choice: EngineOptions & { readonly engine: string },
): Promise<string> {
  const broken = brokenState(state) ?? sentence('input', batch);
  if (broken !== null) return broken;
  const inputs = { params: state.params, buffers: state.buffers, batch };
  const executable = await compile(gradientsOf as never, specOf(inputs) as never, choice);
  const { gradients } = (await executable.run(inputs as never)) as { gradients: ArrayMap };
  await executable.dispose();
  return (
    sentence('gradient of', gradients) ?? 'every gradient is finite, but the sum of their squares is not'
  );
}

function sentence(kind: string, arrays: ArrayMap): string | null {
  const broken = notFinite(arrays);
  if (broken.length === 0) return null;
  const others =
    broken.length === 1 ? '' : ` (and ${broken.length - 1} more of ${Object.keys(arrays).length})`;
  return `the ${kind} '${broken[0]}' is not finite${others}`;
}
