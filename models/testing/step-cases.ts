/** Training steps of tiny networks, to compare devices: loss, gradients, optimiser and average. For tests only. */
import type { DeviceName } from '../../common/engine-names.ts';
import { zeros } from '../../tensor/array.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { adamW } from '../../tensor/optimizer.ts';
import { fetchTree, freeTree, isAnyArray } from '../../tensor/device-arrays.ts';
import { flatten, specOf } from '../../tensor/tree.ts';
import { classifierStep, denoiserStep, initialState, scalarInputs, STATE_PARTS } from '../training-step.ts';
import type { TrainingState } from '../training-step.ts';
import { classifierCase, denoiserCase } from './gradient-cases.ts';

const CLASSIFIER = { channels: 2, classes: 3, widths: [8, 16], blocksPerStage: 1, groups: 4 };
const UNET = { channels: 1, widths: [8, 16], blocksPerLevel: 1, patch: 2, groups: 4, attention: true };
const OPTIMIZER = adamW({ weightDecay: 0.01 });
const OPTIONS = { optimizer: OPTIMIZER, clipNorm: 1 };

export interface StepCase {
  /** All results of the second of two steps by path; the state between them stays where it was computed. */
  run(device: DeviceName): Promise<ArrayMap>;
}

type Run = (inputs: object) => Promise<TrainingState<NdArray> & Record<'loss' | 'gradientNorm', NdArray>>;

function stepCase(step: unknown, { params, batch }: ReturnType<typeof classifierCase>): StepCase {
  const fresh = initialState(params, OPTIMIZER);
  const moments = Object.fromEntries(
    Object.entries(fresh.optimizer).map(([slot, arrays]) => [slot, warmed(arrays)]),
  );
  const scalars = scalarInputs(OPTIMIZER, { step: 10, learningRate: 1e-3, averageDecay: 0.9 });
  const inputs = { state: { ...fresh, optimizer: moments }, batch, scalars };
  return {
    async run(device) {
      const options = { device, keep: STATE_PARTS };
      const executable = await compile(step as never, specOf(inputs) as never, options);
      const run = ((given) => executable.run(given as never)) as Run;
      const { loss: _, gradientNorm: __, ...state } = await run(inputs);
      const results = await run({ ...inputs, state });
      freeTree(state);
      const fetched = await fetchTree(results);
      await executable.dispose();
      return Object.fromEntries(flatten<NdArray>(fetched, isAnyArray));
    },
  };
}

/** Moments of ordinary size: from zeros, AdamW's first step would be the gradient's sign, whatever its size. */
function warmed(arrays: ArrayMap): ArrayMap {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { shape }]) => {
      const moment = zeros(shape);
      return [name, { ...moment, data: moment.data.fill(0.01) }];
    }),
  );
}

export const classifierStepCase = stepCase(classifierStep(CLASSIFIER, OPTIONS), classifierCase(CLASSIFIER, 4, 9)); // prettier-ignore
export const denoiserStepCase = stepCase(denoiserStep(UNET, 'v', OPTIONS), denoiserCase(UNET, 3, 8));
