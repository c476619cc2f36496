/** The engine setting, one for every configuration that computes. */
import { z } from 'zod';
import { DEVICE_NAMES, ENGINE_NAMES } from '../common/engine-names.ts';

/**
 * `onnxruntime` compiles; `tensorflow` is for GPUs and installed by hand (docs/gpu.md); `reference` is plain
 * JavaScript, slow, for comparison.
 */
export const engineSchema = z.enum(ENGINE_NAMES).default('onnxruntime');

/**
 * Device of the engine `onnxruntime`: `cuda` needs CUDA's libraries (docs/gpu.md); `auto` uses it if it works,
 * otherwise the CPU.
 */
export const deviceSchema = z.enum(DEVICE_NAMES).default('auto');
