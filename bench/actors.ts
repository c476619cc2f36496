/**
 * `npm run bench -- actors`: compares the actor runtime with Ray on the same machine, in turns, both warmed up, with
 * the same message sizes and the same number of calls in flight.
 *
 *   ratio   ours / theirs (rates), theirs / ours (times), median over rounds; above 1 we are faster
 *   spread  smallest and largest ratio of a round
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { ACTOR_CASES } from './actor-cases.ts';
import type { ActorCase } from './actor-cases.ts';
import { BenchSystem, timeOwnStart, timeStart } from './actor-system.ts';
import type { StartTimes } from './actor-system.ts';
import { eachSameHostRound, measurePull } from './objects.ts';
import { peerPython, peerScript, startPeer } from './peer.ts';
import type { Peer } from './peer.ts';
import { median } from './statistics.ts';

const OBJECT_BYTES = 100 * 1024 * 1024;
const NEEDS = 'Ray';

export interface ActorRow {
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number | null;
  readonly peer: string | null;
  readonly ratio: number | null;
  readonly spread: readonly [number, number] | null;
  readonly goal: number | null;
}

/** Ray of this run; null if there is none. */
interface Ray {
  readonly name: string;
  readonly python: string;
  readonly peer: Peer;
}

/** The command. */
export async function actors(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      only: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  const isWanted = (name: string) => values.only === undefined || name.includes(values.only);
  const ray = await findRay();
  const results: ActorRow[] = [];
  const add = (rows: readonly ActorRow[]) => {
    results.push(...rows);
    if (!values.json) for (const row of rows) console.log(describe(row));
  };
  try {
    if (isWanted('system start')) add(await measureStart(ray, rounds));
    const cases = ACTOR_CASES.filter(({ metric }) => isWanted(metric));
    if (cases.length > 0) await measureCases(cases, ray, rounds, (row) => add([row]));
    if (isWanted('put and read')) add(await measureObjects(ray, rounds));
    if (isWanted('remote pull')) add(await measureRemotePull(rounds));
  } finally {
    await ray?.peer.close();
  }
  if (values.json) console.log(JSON.stringify({ name: 'actors', results }));
}

async function findRay(): Promise<Ray | null> {
  const python = peerPython(NEEDS);
  const peer = python === null ? null : startPeer('actors.py', NEEDS);
  if (python === null || peer === null) return null;
  const { version, missing } = await peer.ask({ version: true });
  if (missing === undefined) return { name: `Ray ${String(version)}`, python, peer };
  await peer.close();
  process.stderr.write(`no peer: ${python} has no Ray (${JSON.stringify(missing)})\n`);
  return null;
}

/** One case of Ray's, which starts Ray at first use. */
function askRay(ray: Ray, request: { readonly run: string; readonly with: object }) {
  return ray.peer.ask({ ...request, cpus: cpus().length });
}

/** Fresh processes each, so they run before the Ray of the other benchmarks starts. */
async function measureStart(ray: Ray | null, rounds: number): Promise<ActorRow[]> {
  const ours: StartTimes[] = [];
  const theirs: StartTimes[] = [];
  for (let round = -1; round < rounds; round++) {
    const own = await timeOwnStart();
    const peer =
      ray === null ? null : await timeStart(ray.python, [peerScript('ray_start.py'), `${cpus().length}`]);
    if (round < 0) continue; // reads files from disk
    ours.push(own);
    if (peer !== null) theirs.push(peer);
  }
  const row = (metric: string, key: keyof StartTimes) =>
    timesRow(
      { metric, goal: 10, peer: ray?.name ?? null },
      ours.map((times) => times[key]),
      theirs.map((times) => times[key]),
    );
  return [row('system start, ready', 'ready'), row('system start, first call answered', 'answered')];
}

async function measureCases(
  cases: readonly ActorCase[],
  ray: Ray | null,
  rounds: number,
  onRow: (row: ActorRow) => void,
): Promise<void> {
  const system = await BenchSystem.start();
  try {
    for (const item of cases) {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = -1; round < rounds; round++) {
        const own = await item.ours(system);
        const peer = ray === null ? null : rateOf(await askRay(ray, item.theirs));
        if (round < 0) continue;
        ours.push(own);
        if (peer !== null) theirs.push(peer);
      }
      const { metric, unit, goal } = item;
      onRow(ratesRow({ metric, unit, goal, peer: ray?.name ?? null }, ours, theirs));
    }
  } finally {
    await system.close();
  }
}

/** A rate reported by the peer, or the sum of several callers' rates. */
function rateOf(answer: Record<string, unknown>): number {
  const works = (answer['results'] ?? [answer]) as { count: number; seconds: number }[];
  return works.reduce((sum, { count, seconds }) => sum + count / seconds, 0);
}

/** 100 MiB put in one process and read in another. */
async function measureObjects(ray: Ray | null, rounds: number): Promise<ActorRow[]> {
  const ours = { put: [] as number[], both: [] as number[], digest: [] as number[] };
  const theirs = { put: [] as number[], both: [] as number[] };
  const gigabytes = OBJECT_BYTES / 1e9;
  await eachSameHostRound(OBJECT_BYTES, rounds, async (round, isCounted) => {
    const request = { run: 'putAndRead', with: { sizeBytes: OBJECT_BYTES } };
    const peer = ray === null ? null : ((await askRay(ray, request)) as { put: number; both: number });
    if (!isCounted) return;
    ours.put.push(gigabytes / round.put);
    ours.both.push(gigabytes / (round.put + round.read));
    ours.digest.push(gigabytes / round.digest);
    if (peer === null) return;
    theirs.put.push(gigabytes / peer.put);
    theirs.both.push(gigabytes / peer.both);
  });
  const about = { unit: 'GB/s', peer: ray?.name ?? null };
  return [
    ratesRow({ ...about, metric: 'put', goal: null }, ours.put, theirs.put),
    ratesRow({ ...about, metric: 'put and read by another process', goal: 1 }, ours.both, theirs.both),
    ratesRow({ ...about, metric: 'SHA-256 alone', goal: null, peer: null }, ours.digest, []),
  ];
}

async function measureRemotePull(rounds: number): Promise<ActorRow[]> {
  const pull = await measurePull(OBJECT_BYTES, rounds);
  const about = { unit: 'GB/s', theirs: pull.rawStream / 1e9, peer: 'raw gRPC stream' };
  return [
    {
      ...about,
      metric: 'remote pull without its SHA-256',
      ours: pull.pullWithoutDigest / 1e9,
      ratio: pull.ratioWithoutDigest,
      spread: pull.spreadWithoutDigest,
      goal: 0.8,
    },
    {
      ...about,
      metric: 'remote pull',
      ours: pull.pull / 1e9,
      ratio: pull.ratio,
      spread: pull.spread,
      goal: null,
    },
  ];
}

type About = Pick<ActorRow, 'metric' | 'unit' | 'goal' | 'peer'>;

function ratesRow(about: About, ours: readonly number[], theirs: readonly number[]): ActorRow {
  return rowOf(about, ours, theirs, (own, peer) => own / peer);
}

function timesRow(about: Omit<About, 'unit'>, ours: readonly number[], theirs: readonly number[]): ActorRow {
  return rowOf({ ...about, unit: 's' }, ours, theirs, (own, peer) => peer / own);
}

function rowOf(
  about: About,
  ours: readonly number[],
  theirs: readonly number[],
  ratioOf: (ours: number, theirs: number) => number,
): ActorRow {
  if (theirs.length === 0)
    return { ...about, ours: median(ours), theirs: null, peer: null, ratio: null, spread: null };
  const ratios = theirs.map((value, i) => ratioOf(ours[i]!, value));
  return {
    ...about,
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
  };
}

function describe(row: ActorRow): string {
  const value = (number: number) => `${Number(number.toPrecision(3))} ${row.unit}`;
  if (row.ratio === null || row.spread === null || row.theirs === null)
    return `${row.metric}: ${value(row.ours)}`;
  const [least, most] = row.spread;
  const goal = row.goal === null ? '' : `, goal ${row.goal}`;
  const ratio = `ratio ${row.ratio.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})${goal}`;
  return `${row.metric}: ${value(row.ours)}, ${row.peer} ${value(row.theirs)}: ${ratio}`;
}
