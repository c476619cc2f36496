/** Where a run's events go: always to the run folder's events.jsonl, and to NATS too where it is asked for. */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import type { Registry } from 'prom-client';
import type { EventBus } from '../../actors/control/event-bus.ts';
import { openEventLog } from '../../actors/control/event-log.ts';
import { keepNatsEvents, natsNames } from '../../actors/control/event-nats-stream.ts';
import { openNatsEventBus } from '../../actors/control/event-nats.ts';
import { natsSecrets } from '../../actors/control/nats-secrets.ts';

/** How long NATS keeps a run's events after its process has ended; the folder keeps them. */
const KEEP_MS = 86_400_000;

export interface RunBusOptions {
  readonly runDir: string;
  /** Null for the folder only. */
  readonly natsUrl: string | null;
  readonly metrics: Registry;
  /** Whether the run continues; otherwise events of the folder's earlier runs end with `run.replaced`. */
  readonly resume: boolean;
}

/** Opens the bus of a run. Throws UserError when NATS cannot be reached or the folder not be written. */
export async function openRunBus({ runDir, natsUrl, metrics, resume }: RunBusOptions): Promise<EventBus> {
  if (natsUrl === null) return openEventLog({ path: join(runDir, 'events.jsonl'), metrics });
  const at = { url: natsUrl, ...natsSecrets(process.env), runId: runId(runDir) };
  const nats = await openNatsEventBus({ ...at, metrics });
  try {
    const isUsed = (await nats.lastSequence()) > 0;
    if (isUsed) await keepNatsEvents(at, null);
    if (isUsed && !resume) await nats.publish('run.replaced', {});
    // A stream that cannot be limited now expires later by itself, and must not fail a run that has ended.
    const end = () => keepNatsEvents(at, KEEP_MS).catch(() => undefined);
    return both(await openEventLog({ path: join(runDir, 'events.jsonl') }), nats, end);
  } catch (thrown) {
    await nats.close();
    throw thrown;
  }
}

/** A line that says where a run's events are on NATS. */
export function describeNatsEvents(runDir: string): string {
  const { stream, prefix } = natsNames(runId(runDir));
  return `events: NATS stream ${stream}, subjects ${prefix}>`;
}

/**
 * The same for the same folder, so that a resumed run continues its stream: letters, digits, '-' and '_', short enough to begin the
 * id of each of the run's actors, which has 63 at most (`-diffusion-worker-1023`).
 */
export function runId(runDir: string): string {
  const path = resolve(runDir);
  const name = basename(path).replace(/[^A-Za-z0-9_-]/g, '_');
  return `${name.slice(0, 32)}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
}

/** Keeps every event in `file`, then publishes it on `shared`, whose subscribers and numbers rule. */
function both(file: EventBus, shared: EventBus, end: () => Promise<void>): EventBus {
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
      await end();
    },
  };
}
