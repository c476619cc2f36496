/**
 * ONNX files: the few messages of the ONNX schema (onnx.ai, IR version 8, Apache-2.0) that a computation graph needs,
 * encoded with protobufjs. Field numbers are those of the published schema; unused fields are left out.
 */
import protobuf from 'protobufjs';
import { createHash } from 'node:crypto';

const IR_VERSION = 8;
/** Operator sets that graphs are written for: 17 brought LayerNormalization. */
const OPSETS = [
  { domain: '', version: 17 },
  { domain: 'com.microsoft', version: 1 },
  { domain: 'com.microsoft.nchwc', version: 1 },
];

const root = protobuf.Root.fromJSON({
  nested: {
    AttributeProto: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        s: { type: 'bytes', id: 4 },
        t: { type: 'TensorProto', id: 5 },
        floats: { rule: 'repeated', type: 'float', id: 7 },
        ints: { rule: 'repeated', type: 'int64', id: 8 },
        type: { type: 'int32', id: 20 },
      },
    },
    NodeProto: {
      fields: {
        input: { rule: 'repeated', type: 'string', id: 1 },
        output: { rule: 'repeated', type: 'string', id: 2 },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { rule: 'repeated', type: 'AttributeProto', id: 5 },
        domain: { type: 'string', id: 7 },
      },
    },
    TensorProto: {
      fields: {
        dims: { rule: 'repeated', type: 'int64', id: 1 },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
      },
    },
    Dimension: {
      fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } },
    },
    TensorShapeProto: { fields: { dim: { rule: 'repeated', type: 'Dimension', id: 1 } } },
    TensorType: {
      fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'TensorShapeProto', id: 2 } },
    },
    TypeProto: { fields: { tensorType: { type: 'TensorType', id: 1 } } },
    ValueInfoProto: { fields: { name: { type: 'string', id: 1 }, type: { type: 'TypeProto', id: 2 } } },
    GraphProto: {
      fields: {
        node: { rule: 'repeated', type: 'NodeProto', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { rule: 'repeated', type: 'TensorProto', id: 5 },
        input: { rule: 'repeated', type: 'ValueInfoProto', id: 11 },
        output: { rule: 'repeated', type: 'ValueInfoProto', id: 12 },
      },
    },
    OperatorSetIdProto: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    StringStringEntryProto: { fields: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } } },
    ModelProto: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        graph: { type: 'GraphProto', id: 7 },
        opsetImport: { rule: 'repeated', type: 'OperatorSetIdProto', id: 8 },
        metadataProps: { rule: 'repeated', type: 'StringStringEntryProto', id: 14 },
      },
    },
  },
});
const ModelProto = root.lookupType('ModelProto');

/** Element types with the schema's numbers. */
const ELEMENT_TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 } as const;
export type OnnxDType = keyof typeof ELEMENT_TYPE;

/** An operator attribute; a wrapper distinguishes integers from floats, because 1 could be either. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string }
  | { readonly tensor: OnnxTensor };

export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  /** Little-endian elements. */
  readonly bytes: Uint8Array;
}

export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  /** Extents; a name stands for one that the user of the file chooses. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** A node's name in the file: that of its first result. */
export function nodeName({ outputs }: OnnxNode): string {
  return outputs[0]!;
}

/** The file's bytes. */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  return ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: 'ballast',
    opsetImport: OPSETS.filter(({ domain }) => graph.nodes.some((node) => node.domain === domain)),
    graph: {
      name: 'graph',
      node: graph.nodes.map((node) => ({
        name: nodeName(node),
        opType: node.op,
        domain: node.domain,
        input: node.inputs,
        output: node.outputs,
        attribute: Object.entries(node.attributes).map(([name, value]) => attributeProto(name, value)),
      })),
      initializer: graph.initializers.map(tensorProto),
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
    },
  }).finish();
}

/** The file with entries added to its metadata: parts of a protobuf message may simply be concatenated. */
export function withMetadata(file: Uint8Array, entries: Readonly<Record<string, string>>): Uint8Array {
  const metadataProps = Object.entries(entries).map(([key, value]) => ({ key, value }));
  return Buffer.concat([file, ModelProto.encode({ metadataProps }).finish()]);
}

/** Name of a compiled graph: the SHA-256 of its file, hex. */
export function modelDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function tensorProto(tensor: OnnxTensor): object {
  return {
    name: tensor.name,
    dims: tensor.shape,
    dataType: ELEMENT_TYPE[tensor.dtype],
    rawData: tensor.bytes,
  };
}

function valueInfo(value: OnnxValue): object {
  const dim = value.shape.map((extent) =>
    typeof extent === 'string' ? { dimParam: extent } : { dimValue: extent },
  );
  return { name: value.name, type: { tensorType: { elemType: ELEMENT_TYPE[value.dtype], shape: { dim } } } };
}

function attributeProto(name: string, value: OnnxAttribute): object {
  if ('int' in value) return { name, i: value.int, type: 2 };
  if ('float' in value) return { name, f: value.float, type: 1 };
  if ('ints' in value) return { name, ints: value.ints, type: 7 };
  if ('string' in value) return { name, s: new TextEncoder().encode(value.string), type: 3 };
  return { name, t: tensorProto(value.tensor), type: 4 };
}
