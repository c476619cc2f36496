/**
 * Weights of a ResNet from a safetensors file with torchvision's or timm's names, which are the same. Counters
 * (`num_batches_tracked`) are ignored; a prefix that a training script put before every name is removed; a head for
 * other classes is replaced. All other names and shapes must match.
 */
import { UserError } from '../common/errors.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import type { Key } from '../tensor/random.ts';
import { initResNet, RESNET_HEAD, resNetShapes } from './resnet.ts';
import type { ResNetConfig } from './classifier.ts';

/** Prefixes that wrappers of PyTorch (DataParallel, Lightning and others) put before every name. */
const PREFIXES = ['module.', 'model.', 'backbone.'];
const UNUSED = /\.num_batches_tracked$/;
const HEAD_PARTS = [`${RESNET_HEAD}.weight`, `${RESNET_HEAD}.bias`];

export interface PretrainedResNet {
  readonly params: ArrayMap;
  /** Classes of the file's own head, if it was replaced; otherwise null. */
  readonly replacedClasses: number | null;
}

/**
 * The network's parameters and running statistics from `arrays`; a new head is drawn from `key`. `source` names the file in
 * errors. @throws UserError for a file of another network.
 */
export function pretrainedResNet(
  config: ResNetConfig,
  arrays: ArrayMap,
  key: Key,
  source: string,
): PretrainedResNet {
  const shapes = resNetShapes(config.architecture, config);
  const found = withoutPrefix(arrays);
  const body = Object.keys(shapes).filter((name) => !HEAD_PARTS.includes(name));
  const refuse = (why: string) => new UserError(`${source}: does not fit ${config.architecture}: ${why}`);
  const missing = body.filter((name) => found[name] === undefined);
  if (missing.length > 0)
    throw refuse(`it lacks '${missing[0]}'${andMore(missing)}; its own names begin with ${listed(found)}`);
  const unknown = Object.keys(found).filter(
    (name) => shapes[name] === undefined && !HEAD_PARTS.includes(name),
  );
  if (unknown.length > 0)
    throw refuse(`it holds '${unknown[0]}'${andMore(unknown)}, which ${config.architecture} does not have`);
  for (const name of body) requireShape(found[name]!, name, shapes[name]!, refuse);
  const head = fittingHead(found, shapes);
  const fresh = head ?? initResNet(pick(shapes, headParts(shapes)), key);
  return {
    params: { ...pick(found, body), ...fresh },
    replacedClasses: head === null ? (found[HEAD_PARTS[0]!]?.shape[0] ?? 0) : null,
  };
}

function withoutPrefix(arrays: ArrayMap): ArrayMap {
  const entries = Object.entries(arrays).filter(([name]) => !UNUSED.test(name));
  const prefix = PREFIXES.find(
    (each) => entries.length > 0 && entries.every(([name]) => name.startsWith(each)),
  );
  return Object.fromEntries(entries.map(([name, array]) => [name.slice(prefix?.length ?? 0), array]));
}

function requireShape(
  { shape, dtype }: NdArray,
  name: string,
  wanted: readonly number[],
  refuse: (why: string) => UserError,
): void {
  if (dtype !== 'float32') throw refuse(`'${name}' holds ${dtype}, not floating-point numbers`);
  if (shape.join() === wanted.join()) return;
  const channels =
    name === 'conv1.weight' && shape[1] !== wanted[1]
      ? `; the file's network takes images of ${shape[1]} channels: set data.channels to ${shape[1]}`
      : '';
  throw refuse(`'${name}' is [${shape.join(', ')}], not [${wanted.join(', ')}]${channels}`);
}

/** A cosine head has no bias. */
function headParts(shapes: Readonly<Record<string, readonly number[]>>): string[] {
  return HEAD_PARTS.filter((name) => shapes[name] !== undefined);
}

/** The file's head, if it has the wanted classes. */
function fittingHead(found: ArrayMap, shapes: Readonly<Record<string, readonly number[]>>): ArrayMap | null {
  const parts = headParts(shapes);
  const fits = parts.every((name) => found[name]?.shape.join() === shapes[name]!.join());
  return fits ? pick(found, parts) : null;
}

function pick<Value>(from: Readonly<Record<string, Value>>, names: readonly string[]): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, from[name]!]));
}

function andMore({ length }: readonly string[]): string {
  return length > 1 ? ` and ${length - 1} more` : '';
}

function listed(arrays: ArrayMap): string {
  const names = Object.keys(arrays).sort().slice(0, 3);
  return names.length === 0
    ? 'nothing: it is empty'
    : names.map((name) => `'${name.slice(0, 60)}'`).join(', ');
}
