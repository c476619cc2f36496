/** Synthetic images that outlive their epoch, by shard; their file is part of the trainer's checkpoint. */
import { UserError } from '../../common/errors.ts';
import { int32 } from '../../tensor/array.ts';
import { decodeSafetensors, encodeSafetensors } from '../../tensor/safetensors.ts';

export interface KeptImages {
  /** [n, h, w, c] bytes. */
  readonly images: Uint8Array;
  readonly labels: Int32Array;
  /** Unique in the run. */
  readonly ids: Int32Array;
}

/** By position in the epoch. */
export type Shards = Map<number, KeptImages>;

/** Shards, and the epoch that made them. */
export interface EpochShards {
  readonly epoch: number;
  readonly shards: Shards;
}

/** All images in shard order, whatever the order of arrival. */
export function joined(shards: Shards): KeptImages {
  const ordered = [...shards].sort(([a], [b]) => a - b).map(([, shard]) => shard);
  return {
    images: Buffer.concat(ordered.map((shard) => shard.images)),
    labels: Int32Array.from(ordered.flatMap((shard) => [...shard.labels])),
    ids: Int32Array.from(ordered.flatMap((shard) => [...shard.ids])),
  };
}

/** All shards of `epoch` as one file; all must have the same image size. */
export function encodeShards(epoch: number, shards: Shards): Uint8Array {
  const ordered = [...shards].sort(([a], [b]) => a - b);
  const arrays: Record<string, Parameters<typeof encodeSafetensors>[0][string]> = {};
  for (const [index, { images, labels, ids }] of ordered) {
    arrays[`${index}.images`] = { dtype: 'uint8', shape: [images.length], data: images };
    arrays[`${index}.labels`] = int32([labels.length], labels);
    arrays[`${index}.ids`] = int32([ids.length], ids);
  }
  return encodeSafetensors(arrays, { epoch: String(epoch) });
}

/** Throws UserError naming `source` for a file of another kind. */
export function decodeShards(bytes: Uint8Array, source: string): EpochShards {
  const { arrays, metadata } = decodeSafetensors(bytes, source);
  const epoch = Number(metadata['epoch']);
  const shards: Shards = new Map();
  for (const name of Object.keys(arrays)) {
    if (!name.endsWith('.images')) continue;
    const index = name.slice(0, -'.images'.length);
    const [images, labels, ids] = ['images', 'labels', 'ids'].map((part) => arrays[`${index}.${part}`]?.data);
    if (!(images instanceof Uint8Array && labels instanceof Int32Array && ids instanceof Int32Array))
      throw new UserError(`${source} is damaged: shard ${index} is incomplete; resume from an earlier epoch`);
    shards.set(Number(index), { images, labels, ids });
  }
  if (!Number.isInteger(epoch) || shards.size === 0)
    throw new UserError(`${source} is damaged: it holds no images; resume from an earlier epoch`);
  return { epoch, shards };
}
