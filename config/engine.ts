/** The engine setting, one for every configuration that computes. */
import { z } from 'zod';
import { DEVICE_NAMES, ENGINE_NAMES } from '../common/engine-names.ts';

/**
 * `onnxruntime` compiles; `tensorflow` is for GPUs and installed by hand (docs/gpu.md); `reference` is plain
 * JavaScript, slow, for comparison.
 */
export const engineSchema = z.enum(ENGINE_NAMES).default('onnxruntime');

/**
 * Device of the engine `onnxruntime` (docs/gpu.md): `webgpu` needs a Vulkan driver, `cuda` CUDA's libraries; `auto` takes
 * the first of `cuda` and `webgpu` that is installed and, in a short trial, faster than the CPU, otherwise the CPU.
 */
export const deviceSchema = z.enum(DEVICE_NAMES).default('auto');
