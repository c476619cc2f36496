// One step of gradient descent on w, for the loss mean((w·x − y)²): traced once, run twenty times.
import tf from '@tensorflow/tfjs';
import { compile, float32 } from 'ballast/tensor';

const scalar = { shape: [], dtype: 'float32' } as const;
const vector = { shape: [3], dtype: 'float32' } as const;
const step = await compile(
  ({ w, x, y }) => {
    const loss = (w: tf.Tensor) => tf.mean(tf.square(tf.sub(tf.mul(w, x), y)));
    return { w: tf.sub(w, tf.mul(0.1, tf.grad(loss)(w))) };
  },
  { w: scalar, x: vector, y: vector },
);
const data = { x: float32([3], [1, 2, 3]), y: float32([3], [2, 4, 6]) };
let w = float32([], [0]);
for (let i = 0; i < 20; i++) ({ w } = await step.run({ w, ...data }));
export const slope = w.data[0]; // 2
