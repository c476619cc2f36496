/** Where a run's events go: always to the run folder's events.jsonl, and to NATS too where it is asked for. */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import type { Registry } from 'prom-client';
import type { EventBus } from '../actors/control/event-bus.ts';
import { openEventLog } from '../actors/control/event-log.ts';
import { openNatsEventBus } from '../actors/control/event-nats.ts';
import { natsSecrets } from '../actors/control/nats-secrets.ts';

/** Opens the bus of a run. Throws UserError when NATS cannot be reached or the folder not be written. */
export async function openRunBus(
  runDir: string,
  natsUrl: string | null,
  metrics: Registry,
): Promise<EventBus> {
  if (natsUrl === null) return openEventLog({ path: join(runDir, 'events.jsonl'), metrics });
  const secrets = natsSecrets(process.env);
  const nats = await openNatsEventBus({ url: natsUrl, ...secrets, runId: runId(runDir), metrics });
  try {
    return both(await openEventLog({ path: join(runDir, 'events.jsonl') }), nats);
  } catch (thrown) {
    await nats.close();
    throw thrown;
  }
}

/** The same for the same folder, so that a resumed run continues its stream. */
export function runId(runDir: string): string {
  const path = resolve(runDir);
  return `${basename(path)}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
}

/** Keeps every event in `file`, then publishes it on `shared`, whose subscribers and numbers rule. */
function both(file: EventBus, shared: EventBus): EventBus {
  return {
    async publish(topic, payload, options) {
      await file.publish(topic, payload, options);
      return shared.publish(topic, payload, options);
    },
    subscribe: (filter, options, signal) => shared.subscribe(filter, options, signal),
    lastSequence: () => shared.lastSequence(),
    async close() {
      await file.close();
      await shared.close();
    },
  };
}
