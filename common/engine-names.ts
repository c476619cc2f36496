/** Names of the compute engines (tensor/engine.ts), for settings and flags. */
export const ENGINE_NAMES = ['onnxruntime', 'tensorflow', 'reference'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];
