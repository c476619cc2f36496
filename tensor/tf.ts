/**
 * The only import of TensorFlow.js. Its CommonJS build registers every kernel gradient (tfjs-core alone does not). It is
 * loaded by `require`: `import` would first search its megabytes for the names of its exports, 0.3 s in every process.
 */
import { createRequire } from 'node:module';
import type Tfjs from '@tensorflow/tfjs';

export type {
  BackendValues,
  DataType,
  KernelFunc,
  NamedTensorMap,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  TensorInfo,
} from '@tensorflow/tfjs';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof Tfjs;
tf.enableProdMode(); // no advice on the console about faster backends
export default tf;
