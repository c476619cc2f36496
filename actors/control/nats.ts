/**
 * The control plane on NATS, loaded only when it is used, because every actor's process and thread loads `index.ts`.
 */

import type { EventBus } from './event-bus.ts';
import type { NatsEventBusOptions } from './event-nats.ts';
import type { Registry } from './registry.ts';
import type { NatsRegistryOptions } from './registry-nats.ts';

/** Like `openNatsEventBus` of event-nats.ts. */
export async function openNatsEventBus(options: NatsEventBusOptions): Promise<EventBus> {
  return (await import('./event-nats.ts')).openNatsEventBus(options);
}

/** Like `openNatsRegistry` of registry-nats.ts. */
export async function openNatsRegistry(options: NatsRegistryOptions): Promise<Registry> {
  return (await import('./registry-nats.ts')).openNatsRegistry(options);
}
