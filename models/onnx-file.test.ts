import ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { keyFromSeed } from '../tensor/random.ts';
import { classifierForward, initClassifier } from './classifier.ts';
import { softmaxRows } from './metrics.ts';
import type { ClassifierModel } from './model-file.ts';
import { encodeOnnxClassifier } from './onnx-file.ts';

describe.each([1, 3])('a classifier of %i channels as an ONNX file', (channels) => {
  const image = { height: 16, width: 12, channels };
  const network = { widths: [8, 16], blocksPerStage: 1, groups: 4, channels, classes: 3 };
  const classes = ['cross', 'disc', 'square'];
  const model: ClassifierModel = { kind: 'classifier', network, image, classes, steps: 7 };
  const fresh = initClassifier(network, keyFromSeed(1));
  const { shape: headShape, data: head } = fresh['head.weight']!;
  // Others than it begins with, which may be zeros.
  const headWeight = float32(headShape, Array.from({ length: head.length }, (_, i) => Math.sin(i))); // prettier-ignore
  const params = { ...fresh, 'head.weight': headWeight };
  const pixels = Uint8Array.from({ length: 16 * 12 * channels }, (_, i) => (i * 89) % 256);

  it('gives the probabilities that the trainer computes', async () => {
    const session = await ort.InferenceSession.create(encodeOnnxClassifier(model, params));
    expect(session.inputNames).toEqual(['image']);
    expect(session.outputNames).toEqual(['probabilities', 'logits']);
    const input = new ort.Tensor('float32', Float32Array.from(pixels), [1, 16, 12, channels]);
    const { probabilities, logits } = await session.run({ image: input });
    const two = new ort.Tensor('float32', Float32Array.from([...pixels].reverse().concat(...pixels)), [2, 16, 12, channels]); // prettier-ignore
    const ofTwo = (await session.run({ image: two }))['logits']!;
    expect(ofTwo.dims).toEqual([2, 3]);
    (ofTwo.data as Float32Array).slice(3).forEach((value, i) => expect(value).toBeCloseTo(logits!.data[i] as number, 5)); // prettier-ignore

    const shape = [1, channels, 16, 12];
    const own = await compile(
      classifierForward(network),
      { images: { shape, dtype: 'float32' } },
      { engine: 'reference', constants: { params } },
    );
    const data = new Float32Array(pixels.length); // [c, h, w] in [−1, 1], as the trainer takes them
    for (let i = 0; i < pixels.length; i++)
      data[(i % channels) * 16 * 12 + Math.floor(i / channels)] = pixels[i]! / 127.5 - 1;
    const expected = (await own.run({ images: { dtype: 'float32', shape, data } })).logits
      .data as Float32Array;
    const theirs = logits!.data as Float32Array;
    theirs.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
    const shares = softmaxRows({ values: expected, columns: 3 }).values;
    (probabilities!.data as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(shares[i]!, 5));
  });

  it('needs the standard operators alone, and names its classes', () => {
    const text = Buffer.from(encodeOnnxClassifier(model, params)).toString('latin1');
    expect(text).not.toContain('com.microsoft');
    expect(text).toContain('["cross","disc","square"]');
  });
});
