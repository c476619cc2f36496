/** The methods of generating images that `bench -- fidelity` compares. */

export interface FidelitySetting {
  readonly name: string;
  /** Null: the anchors themselves, flipped and shifted, without diffusion. */
  readonly synthesis: object | null;
  /** Guided by the classifier that was also trained on noised images. */
  readonly noiseAware?: boolean;
}

const fromNoise = (guidance: object) => ({ start: 'noise', steps: 12, guidance });
const anchored = (startTime: number, guidance: object) => ({
  start: 'anchored',
  startTime,
  steps: 10,
  guidance,
});
const normalized = (scale: number, rest: object = {}) => ({ rule: 'normalized', scale, ...rest });
const head = (scale: number, rest: object = {}) => ({ rule: 'prior-features', scale, ...rest });
const released = (scale: number) => ({
  rule: 'released-noisy',
  scale,
  schedule: 'constant',
  softening: [1, 1],
});

export const FIDELITY_SETTINGS: readonly FidelitySetting[] = [
  { name: 'noise: unguided', synthesis: fromNoise({ rule: 'none' }) },
  { name: 'noise: released, gradient at noisy x_t, scale 1', synthesis: fromNoise(released(1)) },
  { name: 'noise: released, scale 8', synthesis: fromNoise(released(8)) },
  { name: 'noise: detached x0, 0.08', synthesis: fromNoise(normalized(0.08)) },
  {
    name: 'noise: detached x0, 0.25, plain logits',
    synthesis: fromNoise(normalized(0.25, { softening: [1, 1] })),
  },
  { name: 'noise: detached x0, 0.25, softened logits', synthesis: fromNoise(normalized(0.25)) },
  { name: 'noise: detached x0, 0.25, 4 copies', synthesis: fromNoise(normalized(0.25, { copies: 4 })) },
  { name: 'noise: detached x0, 0.25, low-pass', synthesis: fromNoise(normalized(0.25, { lowPass: true })) },
  {
    name: 'noise: detached x0, 0.6, noise-aware classifier',
    synthesis: fromNoise(normalized(0.6)),
    noiseAware: true,
  },
  { name: 'noise: head on prior features, 0.25', synthesis: fromNoise(head(0.25)) },
  { name: 'noise: class means', synthesis: fromNoise({ rule: 'none', lda: 1 }) },
  { name: 'noise: class means, detached x0, 0.12', synthesis: fromNoise(normalized(0.12, { lda: 1 })) },
  { name: 'noise: class means, detached x0, 0.25', synthesis: fromNoise(normalized(0.25, { lda: 1 })) },
  { name: 'noise: class means, head, 0.25', synthesis: fromNoise(head(0.25, { lda: 1 })) },
  { name: 'anchored t 0.75: unguided', synthesis: anchored(0.75, { rule: 'none' }) },
  { name: 'anchored t 0.75: detached x0, 0.25', synthesis: anchored(0.75, normalized(0.25)) },
  { name: 'anchored t 0.75: detached x0, 0.08', synthesis: anchored(0.75, normalized(0.08)) },
  { name: 'anchored t 0.75: head, 0.12', synthesis: anchored(0.75, head(0.12)) },
  {
    name: 'anchored t 0.75: class means, detached x0, 0.08',
    synthesis: anchored(0.75, normalized(0.08, { lda: 1 })),
  },
  { name: 'anchored t 0.6: unguided', synthesis: anchored(0.6, { rule: 'none' }) },
  { name: 'anchored t 0.6: detached x0, 0.25', synthesis: anchored(0.6, normalized(0.25)) },
  { name: 'anchored t 0.6: detached x0, 0.08', synthesis: anchored(0.6, normalized(0.08)) },
  { name: 'the anchors themselves, flipped and shifted', synthesis: null },
];
