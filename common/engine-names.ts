/** Names of the compute engines (tensor/engine.ts) and of their devices, for settings and flags. */
export const ENGINE_NAMES = ['onnxruntime', 'tensorflow', 'reference'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

export const DEVICE_NAMES = ['auto', 'cpu', 'webgpu', 'cuda'] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];
