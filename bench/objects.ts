/** Throughput of object stores: between two processes of a machine, and between two machines. */
import type { ObjectRef } from '../actors/objects/object-ref.ts';
import { HostGroup } from './object-hosts.ts';
import type { Host } from './object-hosts.ts';
import { median } from './statistics.ts';

export interface ObjectRates {
  /** Bytes per second of `put` alone. */
  readonly put: number;
  /** `put` in one process, then `get` in another on the same machine. */
  readonly putAndRead: number;
  /** SHA-256 alone, as computed for objects that leave the machine. */
  readonly digest: number;
}

export interface PullRates {
  /** `get` of an object from another machine: stored, verified and read. Bytes per second. */
  readonly pull: number;
  /** The same without the time spent on SHA-256. */
  readonly pullWithoutDigest: number;
  /** A plain gRPC stream of the same chunks, from memory, discarded on arrival. */
  readonly rawStream: number;
  /** `pull` over `rawStream`, median of rounds. */
  readonly ratio: number;
  readonly ratioWithoutDigest: number;
  readonly spread: readonly [number, number];
  readonly spreadWithoutDigest: readonly [number, number];
}

async function inGroup<T>(measure: (group: HostGroup) => Promise<T>): Promise<T> {
  const group = await HostGroup.open();
  try {
    return await measure(group);
  } finally {
    await group.close();
  }
}

async function putIn(
  host: Host,
  sizeBytes: number,
  seed: number,
): Promise<{ ref: ObjectRef; seconds: number }> {
  const { ref, seconds } = await host.ask({ kind: 'put', sizeBytes, seed });
  return { ref: ref!, seconds };
}

/** Seconds of one round. */
export interface SameHostRound {
  readonly put: number;
  readonly read: number;
  readonly digest: number;
}

/** Two processes of one node, which is a third. The first rounds, with cold files, do not count. */
export function eachSameHostRound(
  sizeBytes: number,
  rounds: number,
  onRound: (round: SameHostRound, isCounted: boolean) => Promise<void> | void,
): Promise<void> {
  return inGroup(async (group) => {
    const node = await group.start('node');
    const writer = await group.start('writer', { nodeAddress: node.address });
    const reader = await group.start('reader', { nodeAddress: node.address });
    for (let round = -2; round < rounds; round++) {
      const { ref, seconds: put } = await putIn(writer, sizeBytes, round + 2);
      const { seconds: read } = await reader.ask({ kind: 'get', ref });
      await writer.ask({ kind: 'free', ref });
      const { seconds: digest } = await writer.ask({ kind: 'digest', sizeBytes });
      await onRound({ put, read, digest }, round >= 0);
    }
  });
}

/** Throughput of two processes on one machine. */
export async function measureSameHost(sizeBytes: number, rounds: number): Promise<ObjectRates> {
  const counted: SameHostRound[] = [];
  await eachSameHostRound(sizeBytes, rounds, (round, isCounted) => {
    if (isCounted) counted.push(round);
  });
  const rate = (secondsOf: (round: SameHostRound) => number) => sizeBytes / median(counted.map(secondsOf));
  return {
    put: rate(({ put }) => put),
    putAndRead: rate(({ put, read }) => put + read),
    digest: rate(({ digest }) => digest),
  };
}

/** Two nodes, and the plain stream between the same two processes, in turns. */
export function measurePull(sizeBytes: number, rounds: number): Promise<PullRates> {
  return inGroup(async (group) => {
    const origin = await group.start('origin');
    const receiver = await group.start('receiver');
    const { address } = await origin.ask({ kind: 'raw-serve', sizeBytes });
    const seconds: { pull: number; bare: number; raw: number }[] = [];
    for (let round = -2; round < rounds; round++) {
      const { ref } = await putIn(origin, sizeBytes, round + 2);
      const pull = await receiver.ask({ kind: 'get', ref });
      await origin.ask({ kind: 'free', ref });
      const raw = await receiver.ask({ kind: 'raw-pull', address: address! });
      const bare = pull.seconds - (pull.digestSeconds ?? 0);
      if (round >= 0) seconds.push({ pull: pull.seconds, bare, raw: raw.seconds });
    }
    const ratios = seconds.map(({ pull, raw }) => raw / pull);
    const bareRatios = seconds.map(({ bare, raw }) => raw / bare);
    const rate = (key: 'pull' | 'bare' | 'raw') => sizeBytes / median(seconds.map((one) => one[key]));
    return {
      pull: rate('pull'),
      pullWithoutDigest: rate('bare'),
      rawStream: rate('raw'),
      ratio: median(ratios),
      ratioWithoutDigest: median(bareRatios),
      spread: [Math.min(...ratios), Math.max(...ratios)],
      spreadWithoutDigest: [Math.min(...bareRatios), Math.max(...bareRatios)],
    };
  });
}
