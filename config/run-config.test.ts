import { describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { layerFlags, parseConfigText } from './load.ts';
import { parseRunConfig, resolvePaths } from './run-config.ts';
import { optimizerSteps, retrainsHead, stepsBy } from './training-config.ts';

const BASE = { data: { source: 'fashion-mnist' }, prior: 'prior.safetensors' };

function refusal(input: unknown): string {
  try {
    parseRunConfig(input);
  } catch (thrown) {
    if (thrown instanceof UserError) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('parseRunConfig', () => {
  it('fills in every default', () => {
    const config = parseRunConfig(BASE);
    expect(config.method).toBe('iois');
    expect(config.classifier).toEqual({
      network: 'small',
      weights: null,
      normalization: null,
      batchNorm: 'training',
      freeze: [],
      backboneRate: 1,
      widths: [16, 32, 64],
      blocksPerStage: 1,
      groups: 8,
      noiseAware: false,
    });
    expect(config.training).toMatchObject({
      epochs: 12,
      batchSize: 64,
      optimizer: 'adamw',
      learningRate: 0.002,
    });
    expect(config.synthesis).toMatchObject({ shardSize: 32, start: 'anchored', startTime: 0.6, steps: 10 });
    expect(config.synthesis.guidance).toMatchObject({ rule: 'normalized', scale: 0.08, softening: [1, 0.5] });
    expect(config.adaptiveSampling).toEqual({
      rule: 'softmax',
      temperature: 0.5,
      measure: 'train',
      variants: 32,
      smoothing: 0.5,
      floor: 0,
      cap: null,
    });
    expect(config.out).toBe('runs/iois-seed1');
  });

  it('lays the released preset under what the user writes', () => {
    const config = parseRunConfig({ ...BASE, method: 'iois-released', synthesis: { steps: 20 } });
    expect(config.synthesis).toMatchObject({ start: 'noise', steps: 20, sampler: 'ddim' });
    expect(config.synthesis.guidance).toMatchObject({
      rule: 'released-noisy',
      scale: 1,
      schedule: 'constant',
    });
    expect(config.adaptiveSampling).toMatchObject({ rule: 'released', temperature: 1 });
  });

  it('parses its own JSON to itself', () => {
    const config = parseRunConfig({ ...BASE, method: 'logit-adjust+iois-released', seed: 7 });
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    [
      { ...BASE, synthesis: { budget: -5 } },
      'synthesis.budget is -5; it must be a whole number of at least 0',
    ],
    [{ ...BASE, synthesis: { bugdet: 5 } }, 'unknown field synthesis.bugdet; did you mean budget?'],
    [{ ...BASE, workerz: 5 }, 'unknown field workerz; did you mean workers?'],
    [
      { ...BASE, training: { zzzz: 5 } },
      'unknown field training.zzzz; known fields: epochs, steps, batchSize',
    ],
    [
      { ...BASE, training: { optimizer: 'adam' } },
      "training.optimizer is 'adam'; it must be one of adamw, sgd",
    ],
    [
      { ...BASE, synthesis: { startTime: 0 } },
      'synthesis.startTime is 0; it must be a number above 0 and at most 1',
    ],
    [{ ...BASE, workers: 1.5 }, 'workers is 1.5; it must be a whole number of at least 1'],
    [{ ...BASE, prior: 3 }, 'prior is 3; it must be a text (not empty), or null'],
    [
      { ...BASE, synthesis: { guidance: { interval: [0.9, 0.1] } } },
      'synthesis.guidance.interval is [0.9,0.1]; its first number must be below its second',
    ],
    [{ ...BASE, classifier: { widths: [16, 20] } }, 'classifier.widths[1] is 20; it must be a multiple of'],
    [{ ...BASE, adaptiveSampling: { floor: 9, cap: 3 } }, 'adaptiveSampling.cap is 3; it must be at least'],
    [{ ...BASE, data: { source: 'x', channels: 2 } }, 'data.channels is 2; it must be 1, or 3, or null'],
    [
      { ...BASE, data: 'fashion-mnist' },
      "data is 'fashion-mnist'; it must be a group of fields (source, format,",
    ],
    [
      { ...BASE, method: 'crt', training: { epochs: 1 } },
      'training.headRetraining needs at least 2 epochs, one for the whole network; training.epochs is 1',
    ],
    [
      { ...BASE, method: 'crt+logit-adjust' },
      'method crt+logit-adjust: logit adjustment and training.headRetraining both correct the class prior',
    ],
    [
      { ...BASE, method: 'oversample+logit-adjust' },
      'class-balanced sampling and logit adjustment both correct',
    ],
    [
      { ...BASE, method: 'oversample-sqrt+weighted' },
      'square-root sampling and training.classWeights inverse both correct the class prior, twice is too much',
    ],
    [{ ...BASE, method: 'ldam-drw+oversample' }, 'both correct the class prior'],
    [{ ...BASE, method: 'effective-number+post-hoc' }, 'both correct the class prior'],
    [
      { ...BASE, method: 'oversample', training: { postHocAdjustment: 1 } },
      'class-balanced sampling and training.postHocAdjustment both correct the class prior',
    ],
    [{ ...BASE, method: 'crt+oversample' }, 'crt and oversample both choose the sampling; keep one'],
    [
      { ...BASE, synthesis: { after: 0.5 }, training: { epochs: 10, finish: 0.5 } },
      'synthesis.after is 0.5; with 10 epochs, and the finish, no epoch is left for synthetic images',
    ],
    [{ ...BASE, method: 'iosi' }, "unknown method 'iosi'; did you mean iois?"],
    [{ data: BASE.data }, 'method iois makes images and needs a diffusion prior'],
    ['text', 'a configuration is a group of fields'],
    [{ ...BASE, synthesis: { budget: -5, steps: 0 } }, '(and 1 more problem)'],
  ])('%# names the field, the value and what is allowed', (input, message) => {
    expect(refusal(input)).toContain(message);
    expect(refusal(input)).not.toContain('\n');
  });

  it('makes paths absolute, but not the name of a data set', () => {
    const config = resolvePaths(parseRunConfig({ ...BASE, out: 'runs/a', judge: '/j' }), '/base');
    expect(config).toMatchObject({ prior: '/base/prior.safetensors', judge: '/j', out: '/base/runs/a' });
    expect(config.data.source).toBe('fashion-mnist');
  });
});

describe('optimizerSteps', () => {
  it('is epochs times the batches of real and synthetic images, rounded up', () => {
    const { training } = parseRunConfig(BASE); // 12 epochs, batches of 64
    expect(optimizerSteps(training, 4964, 600)).toBe(12 * 87); // 5564 / 64 = 86.9
  });

  it('is what training.steps says, spread evenly over the epochs', () => {
    const { training } = parseRunConfig({ ...BASE, training: { steps: 10, epochs: 4 } });
    expect(optimizerSteps(training, 4964, 600)).toBe(10);
    expect([1, 2, 3, 4].map((epoch) => stepsBy(epoch, 4, 10))).toEqual([2, 5, 7, 10]);
    expect(() => parseRunConfig({ ...BASE, training: { steps: 3, epochs: 4 } })).toThrow(
      'training.steps is 3',
    );
  });
});

describe('the epochs of a head alone', () => {
  it.each([
    [10, 0.3, [8, 9, 10]],
    [10, 0.04, [10]],
    [2, 0.9, [2]],
    [10, null, []],
  ])('of %i and a share of %s are %j', (epochs, headRetraining, own) => {
    const all = Array.from({ length: epochs }, (_, i) => i + 1);
    expect(all.filter((epoch) => retrainsHead(epoch, { epochs, headRetraining }))).toEqual(own);
  });
});

describe('configuration files', () => {
  it('name the line of a wrong field', () => {
    const file = parseConfigText(
      'data: {source: fashion-mnist}\nsynthesis:\n  steps: 4\n  budget: -1\n',
      'run.yaml',
    );
    expect(() => parseRunConfig(file.values, file.locate)).toThrow('run.yaml:4: synthesis.budget is -1');
  });

  it('name the line of an unknown field', () => {
    const file = parseConfigText('data:\n  source: fashion-mnist\n  sauce: 1\n', 'run.yaml');
    expect(() => parseRunConfig(file.values, file.locate)).toThrow('run.yaml:3: unknown field data.sauce');
  });

  it('name the line where the text itself is broken, in YAML and JSON', () => {
    expect(() => parseConfigText('data: {source: x\nmethod: [', 'run.yaml')).toThrow(
      /^run\.yaml:\d+:\d+: not valid YAML/,
    );
    expect(() => parseConfigText('{\n\t"seed": 1,,\n}', 'run.json')).toThrow(
      /^run\.json:2:\d+: not valid JSON/,
    );
  });

  it('come after the flags, whose mistakes are attributed to the command line', () => {
    const file = parseConfigText('{\n\t"seed": 1,\n\t"synthesis": {"steps": 4}\n}', 'run.json');
    const both = layerFlags(file, { synthesis: { budget: -2 } });
    expect(both.values).toEqual({ seed: 1, synthesis: { steps: 4, budget: -2 } });
    expect(both.locate(['synthesis', 'budget'])).toBe('command line');
    expect(both.locate(['synthesis', 'steps'])).toBe('run.json:3');
  });
});
