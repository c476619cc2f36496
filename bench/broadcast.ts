/**
 * `npm run bench -- broadcast`: sends one object to N machines, simulated by processes with separate stores. It
 * compares our broadcast, where receivers get the object from each other, with N pulls from one source, and, on one
 * machine, with N processes that read the file. In turns.
 *
 *   ratio   seconds of N separate pulls / ours, median over rounds; above 1 we are faster
 *   spread  smallest and largest ratio of a round
 */
import { parseArgs } from 'node:util';
import type { ObjectRef } from '../actors/objects/object-ref.ts';
import { HostGroup } from './object-hosts.ts';
import type { Host } from './object-hosts.ts';
import { measurePull, measureSameHost } from './objects.ts';
import { median } from './statistics.ts';

const RECEIVERS = [1, 2, 4, 8, 16];
/** A classifier's weights, about ResNet-18 in single precision. */
const SIZE_BYTES = 45_000_000;

export interface BroadcastRow {
  readonly receivers: number;
  /** Seconds until the last receiver has the bytes, median. */
  readonly seconds: number;
  /** Bytes received by all, per second. */
  readonly bytesPerSecond: number;
  readonly separateSeconds: number;
  readonly ratio: number;
  readonly spread: readonly [number, number];
  /** The same number of processes on one machine. */
  readonly sameHostSeconds: number;
  readonly sameHostBytesPerSecond: number;
}

/** The command. */
export async function broadcast(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '5' } },
  });
  const rounds = Number(values.rounds);
  const objects = await measureSameHost(SIZE_BYTES, rounds);
  const pull = await measurePull(SIZE_BYTES, rounds);
  if (!values.json) {
    console.log(
      `put ${gb(objects.put)}, put and read by another process ${gb(objects.putAndRead)}, SHA-256 alone ${gb(objects.digest)}`,
    );
    console.log(
      `get from another node ${gb(pull.pull)}, raw gRPC stream ${gb(pull.rawStream)}: ${ratio(pull.ratio, pull.spread)}; ` +
        `without SHA-256 ${gb(pull.pullWithoutDigest)}: ${ratio(pull.ratioWithoutDigest, pull.spreadWithoutDigest)}`,
    );
  }
  const results = await measureBroadcast(rounds, (row) => {
    if (!values.json) console.log(describe(row));
  });
  if (values.json)
    console.log(JSON.stringify({ name: 'broadcast', sizeBytes: SIZE_BYTES, objects, pull, results }));
}

/** The three ways, for each number of receivers. */
export async function measureBroadcast(
  rounds: number,
  onRow: (row: BroadcastRow) => void,
): Promise<BroadcastRow[]> {
  const group = await HostGroup.open();
  try {
    const origin = await group.start('origin');
    const lone = await group.start('lone', { uploadsPerNode: Infinity });
    const all: { remote: Host; local: Host }[] = [];
    const rows: BroadcastRow[] = [];
    for (const receivers of RECEIVERS) {
      while (all.length < receivers) {
        const remote = await group.start(`receiver-${all.length}`);
        const local = await group.start(`reader-${all.length}`, { nodeAddress: origin.address });
        all.push({ remote, local });
      }
      const remotes = all.map(({ remote }) => remote);
      const locals = all.map(({ local }) => local);
      const times: { ours: number; separate: number; local: number }[] = [];
      for (let round = -1; round < rounds; round++) {
        const ours = await deliver(origin, remotes, round);
        const separate = await deliver(lone, remotes, round);
        const local = await deliver(origin, locals, round);
        if (round >= 0) times.push({ ours, separate, local });
      }
      const row = summarize(receivers, times);
      rows.push(row);
      onRow(row);
    }
    return rows;
  } finally {
    await group.close();
  }
}

/** Puts an object and lets all receivers get it at once. Returns the seconds until the last one has it. */
async function deliver(origin: Host, receivers: readonly Host[], round: number): Promise<number> {
  const { ref } = await origin.ask({
    kind: 'put',
    sizeBytes: SIZE_BYTES,
    seed: round + 1,
  });
  const startMs = performance.now();
  await Promise.all(receivers.map((host) => host.ask({ kind: 'get', ref: ref as ObjectRef })));
  const seconds = (performance.now() - startMs) / 1000;
  await origin.ask({ kind: 'free', ref: ref as ObjectRef });
  return seconds;
}

function summarize(
  receivers: number,
  times: readonly { readonly ours: number; readonly separate: number; readonly local: number }[],
): BroadcastRow {
  const ratios = times.map(({ ours, separate }) => separate / ours);
  const seconds = median(times.map(({ ours }) => ours));
  const sameHostSeconds = median(times.map(({ local }) => local));
  return {
    receivers,
    seconds,
    bytesPerSecond: (receivers * SIZE_BYTES) / seconds,
    separateSeconds: median(times.map(({ separate }) => separate)),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
    sameHostSeconds,
    sameHostBytesPerSecond: (receivers * SIZE_BYTES) / sameHostSeconds,
  };
}

function gb(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
}

function ratio(value: number, [least, most]: readonly [number, number]): string {
  return `ratio ${value.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}

function describe(row: BroadcastRow): string {
  const { receivers, seconds, separateSeconds, sameHostSeconds } = row;
  const mb = (bytesPerSecond: number) => `${(bytesPerSecond / 1e6).toFixed(0)} MB/s`;
  const ours = `${seconds.toFixed(3)} s (${mb(row.bytesPerSecond)})`;
  const separate = `${separateSeconds.toFixed(3)} s from one source: ${ratio(row.ratio, row.spread)}`;
  const local = `${sameHostSeconds.toFixed(3)} s on one machine (${mb(row.sameHostBytesPerSecond)})`;
  return `${receivers} receivers: ${ours}, ${separate}; ${local}`;
}
