/**
 * Engines run compiled functions. `onnxruntime` traces it to one ONNX graph; `tensorflow` runs it operation by
 * operation on TensorFlow, for GPUs; `reference` does so on tfjs's own JavaScript backend, slowly, as the reference for
 * the others.
 */
import type { EngineName } from '../common/engine-names.ts';
import { UserError } from '../common/errors.ts';
import { onnxRuntimeEngine } from './engine-onnxruntime.ts';
import { referenceEngine } from './engine-reference.ts';
import { tensorFlowEngine } from './engine-tensorflow.ts';
import type { Engine } from './program.ts';

const ENGINES: Readonly<Record<EngineName, Engine>> = {
  onnxruntime: onnxRuntimeEngine,
  tensorflow: tensorFlowEngine,
  reference: referenceEngine,
};

/** Throws UserError for an unknown name. */
export function engineNamed(name: string): Engine {
  if (!Object.hasOwn(ENGINES, name))
    throw new UserError(`unknown engine '${name}': use one of ${Object.keys(ENGINES).join(', ')}`);
  return ENGINES[name as EngineName];
}
