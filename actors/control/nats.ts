/** The control plane on NATS, loaded when it is first wanted: every process and thread of an actor loads `index.ts`. */

import type { EventBus } from './event-bus.ts';
import type { NatsEventBusOptions } from './event-nats.ts';
import type { Registry } from './registry.ts';
import type { NatsRegistryOptions } from './registry-nats.ts';

/** As `openNatsEventBus` of event-nats.ts. */
export async function openNatsEventBus(options: NatsEventBusOptions): Promise<EventBus> {
  return (await import('./event-nats.ts')).openNatsEventBus(options);
}

/** As `openNatsRegistry` of registry-nats.ts. */
export async function openNatsRegistry(options: NatsRegistryOptions): Promise<Registry> {
  return (await import('./registry-nats.ts')).openNatsRegistry(options);
}
