/**
 * The only import of TensorFlow.js. Its CommonJS build registers every kernel gradient (tfjs-core alone does not) and
 * is available to ESM only as a default export.
 */
import tf from '@tensorflow/tfjs';

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
tf.enableProdMode(); // no advice on the console about faster backends
export default tf;
