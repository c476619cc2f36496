/** The cases of the actor benchmarks, named as in Ray's own microbenchmark: our side, and the peer's command. */
import type { Isolation } from '../actors/status/status.ts';
import type { BenchSystem } from './actor-system.ts';
import { callFor } from './call-service.ts';
import type { CallHandle, Work } from './call-service.ts';

export interface ActorCase {
  readonly metric: string;
  readonly unit: string;
  /** Smallest ratio wanted; null for none. */
  readonly goal: number | null;
  /** Our rate per second. */
  ours(system: BenchSystem): Promise<number>;
  readonly theirs: { readonly run: string; readonly with: object };
}

/** Duration of each side's turn in a round. */
const WORK_MS = 1000;
/** Calls in flight in the concurrent cases. */
const IN_FLIGHT = 1000;
/** Size of the argument, if there is one. */
const ARGUMENT_BYTES = 1024;
/** Actors created at once: as many as a node keeps threads ready for, and more than that. Ray starts two a second. */
const CREATED = 8;
const CREATED_MANY = 32;

const rate = ({ count, seconds }: Work) => count / seconds;

/** Calls per second from this process to this many actors. */
function calls(
  actors: number,
  inFlight: number,
  bytes?: number,
): Pick<ActorCase, 'unit' | 'ours' | 'theirs'> {
  const value = bytes === undefined ? {} : { value: new Uint8Array(bytes).fill(7) };
  return {
    unit: 'calls/s',
    ours: async (system) =>
      rate(await callFor(await system.actors(actors), { inFlight, milliseconds: WORK_MS, ...value })),
    theirs: { run: 'calls', with: { actors, inFlight, seconds: WORK_MS / 1000, bytes } },
  };
}

/** Calls per second from this many actors to this many others. */
function clientCalls(clients: number, actors: number): Pick<ActorCase, 'unit' | 'ours' | 'theirs'> {
  return {
    unit: 'calls/s',
    async ours(system) {
      const every = await system.actors(clients + actors);
      const actorIds = every.slice(clients).map(({ actorId }) => actorId);
      const work = (client: CallHandle) =>
        client.work({ kind: 'calls', actorIds, inFlight: IN_FLIGHT, milliseconds: WORK_MS });
      const done = await Promise.all(every.slice(0, clients).map(work));
      return done.reduce((sum, one) => sum + rate(one), 0);
    },
    theirs: { run: 'clientCalls', with: { clients, actors, inFlight: IN_FLIGHT, seconds: WORK_MS / 1000 } },
  };
}

function smallObjects(kind: 'put' | 'get'): Pick<ActorCase, 'unit' | 'ours' | 'theirs'> {
  return {
    unit: `${kind}s/s`,
    async ours(system) {
      const [actor] = await system.actors(1);
      return rate(await actor!.work({ kind, milliseconds: WORK_MS }));
    },
    theirs: { run: kind, with: { seconds: WORK_MS / 1000 } },
  };
}

function creation(isolation: Isolation, count: number): Pick<ActorCase, 'unit' | 'ours' | 'theirs'> {
  return {
    unit: 'actors/s',
    ours: async (system) => rate(await system.create(count, isolation)),
    theirs: { run: 'create', with: { count } },
  };
}

export const ACTOR_CASES: readonly ActorCase[] = [
  { metric: '1:1 actor calls sync', goal: 1.5, ...calls(1, 1) },
  { metric: '1:1 actor calls async', goal: 5, ...calls(1, IN_FLIGHT) },
  { metric: '1:1 actor calls with arg async', goal: null, ...calls(1, IN_FLIGHT, ARGUMENT_BYTES) },
  { metric: '1:n actor calls async (n = 4)', goal: null, ...calls(4, IN_FLIGHT) },
  { metric: 'n:n actor calls async (n = 2)', goal: null, ...clientCalls(2, 2) },
  { metric: 'put small', goal: null, ...smallObjects('put') },
  { metric: 'get small', goal: null, ...smallObjects('get') },
  { metric: 'actor creation, threads', goal: 10, ...creation('thread', CREATED) },
  { metric: `actor creation, ${CREATED_MANY} threads`, goal: null, ...creation('thread', CREATED_MANY) },
  { metric: 'actor creation, processes', goal: null, ...creation('process', CREATED) },
];
