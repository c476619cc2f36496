/** The actor of the actor benchmarks: it answers calls, or makes them. */
import type { ActorRuntime } from '../actors/actor/hosted-actor.ts';
import { serveActor } from '../actors/serve.ts';
import { callFor, callType, workFor } from './call-service.ts';
import type { CallServiceClient, CallServiceHandlers, Work, WorkRequest } from './call-service.ts';

const OK = Buffer.from('ok');
const SMALL = new Uint8Array(8).fill(7);
/** Small objects that are put before they are freed together. */
const PUTS = 100;

async function work({ objects, system }: ActorRuntime, request: Required<WorkRequest>): Promise<Work> {
  const { kind, actorIds, inFlight, milliseconds } = request;
  switch (kind) {
    case 'calls': {
      const actors = actorIds.map((actorId) => system.handle(callType, actorId));
      return callFor(actors, { inFlight, milliseconds });
    }
    case 'put': {
      return workFor(milliseconds, PUTS, async () => {
        const refs = [];
        for (let i = 0; i < PUTS; i++) refs.push(await objects.put(SMALL));
        await objects.free(refs);
      });
    }
    case 'get': {
      const ref = await objects.put(SMALL);
      const done = await workFor(milliseconds, 1, () => objects.get(ref));
      await objects.free([ref]);
      return done;
    }
    default:
      return kind satisfies never;
  }
}

/** Resolves once the actor is registered. */
export const main = serveActor<CallServiceClient, CallServiceHandlers>({
  service: callType.service,
  objectCacheBytes: 0, // clears the cache, so that earlier puts and gets do not bypass the store
  start: (runtime) => ({
    handlers: { call: () => ({ value: OK }), work: (request) => work(runtime, request) },
  }),
});
