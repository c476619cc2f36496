// The actor: each spawned counter runs this program in one process.
import { setTimeout as delay } from 'node:timers/promises';
import { CallError, serveActor, UserError } from 'ballast/actors';
import { counter } from './counter-type.mjs';

await serveActor({
  service: counter.service,
  start({ args, objects, saveState, system, log }) {
    let count = args?.from ?? 0;
    const answer = () => ({ count, pid: process.pid });
    return {
      handlers: {
        async add({ by }) {
          if (by === 0) throw new UserError('Add something.');
          if (count + by > 1000) throw new CallError('OUT_OF_RANGE', 'a thousand is enough');
          count += by;
          await saveState({ count });
          return answer();
        },
        async get({ delayMs }, { signal }) {
          if (delayMs > 0) await delay(delayMs, undefined, { signal });
          return answer();
        },
        countDown,
        async addAll(requests) {
          for await (const { by } of requests) count += by;
          return answer();
        },
        async measure({ object }) {
          count = (await objects.get(object)).byteLength;
          return answer();
        },
        async ask({ actorId }, { deadlineMs }) {
          const other = await system.handle(counter, actorId).get({});
          return { count: other.count, leftMs: deadlineMs };
        },
      },
      // Called after a restart, before the first call.
      onRestart({ state, reason }) {
        log.info('restarted', { reason });
        count = state?.count ?? count;
      },
      // Called at a clean shutdown, not when the process is killed.
      onStop() {
        log.info('stopping', { count });
      },
    };
  },
});

async function* countDown({ from }) {
  for (let left = from; left > 0; left--) yield { count: left };
}
