/**
 * A classifier as an ONNX file for other runtimes: from the pixels of any number of images to their classes'
 * probabilities. The graph is the compiled forward pass with the parameters built in, and uses only operators of the
 * ONNX standard.
 */
import type { ArrayMap } from '../tensor/array.ts';
import { TRACED_BATCH } from '../tensor/free-batch.ts';
import { withMetadata } from '../tensor/onnx.ts';
import tf from '../tensor/tf.ts';
import type { Tensor4D } from '../tensor/tf.ts';
import { trace } from '../tensor/trace.ts';
import { classify } from './classifier.ts';
import type { ClassifierModel } from './model-file.ts';

const INPUT = 'image';

/**
 * The file's bytes. Input `image`: float32 [batch, height, width, channels], pixel values 0 to 255. Outputs `probabilities`
 * and `logits`: float32 [batch, classes]. Its metadata has `classes` (JSON) and `optimizer_steps`.
 */
export function encodeOnnxClassifier(model: ClassifierModel, params: ArrayMap): Uint8Array {
  const { image, network, classes, steps } = model;
  const names = Object.keys(params);
  const inputs = [
    {
      name: INPUT,
      shape: [TRACED_BATCH, image.height, image.width, image.channels],
      dtype: 'float32' as const,
    },
    ...names.map((name) => {
      const { shape, data } = params[name]!;
      return { name, shape, dtype: 'float32' as const, constant: data };
    }),
  ];
  const { bytes } = trace(
    ([pixels, ...values]) => {
      const scaled = tf.sub(tf.div(pixels!, 127.5), 1);
      const x = tf.transpose(scaled, [0, 3, 1, 2]) as Tensor4D;
      const own = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
      const logits = classify(network, own, x);
      return { probabilities: tf.softmax(logits), logits };
    },
    inputs,
    'standard',
  );
  return withMetadata(bytes, { classes: JSON.stringify(classes), optimizer_steps: String(steps) });
}
