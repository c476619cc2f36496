/** The node's event bus over gRPC: the node serves it, and its actors use it as an `EventBus`. */

import { UserError } from '../../common/errors.ts';
import type { EventServiceHandlers } from '../../gen/ballast/runtime/v1/EventService.ts';
import type { SubscribeResponse__Output } from '../../gen/ballast/runtime/v1/SubscribeResponse.ts';
import { serviceCalls, type Transport } from '../calls/transport.ts';
import { checkSubscription, checkTopic, encodePayload } from './event-bus.ts';
import type { BusEvent, EventBus, EventPayload } from './event-bus.ts';
import { parseJson } from '../status/messages.ts';
import type { Implementation } from '../proto/protos.ts';
import { eventService } from '../proto/runtime-services.ts';
import type { CallContext } from '../calls/call.ts';

function parsePayload(json: string): EventPayload {
  const value = parseJson(json, 'payload_json');
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as EventPayload;
  throw new UserError(`Event payload must be a JSON object, not ${json.slice(0, 100)}`);
}

/** Handlers of `EventService` on a bus. */
export function eventHandlers(bus: EventBus): Implementation<EventServiceHandlers, CallContext> {
  return {
    async publish({ topic, payloadJson, id }) {
      const options = id === '' ? {} : { id };
      return { sequence: await bus.publish(topic, parsePayload(payloadJson), options) };
    },
    async getLastSequence() {
      return { sequence: await bus.lastSequence() };
    },
    async *subscribe({ topicFilter, fromSequence, epoch }, { signal }) {
      const options = {
        ...(fromSequence === 0 ? {} : { fromSequence }),
        ...(epoch === '' ? {} : { epoch }),
      };
      for await (const { payload, ...event } of bus.subscribe(topicFilter, options, signal)) {
        yield { ...event, payloadJson: JSON.stringify(payload) };
      }
    },
  };
}

async function* fromMessages(messages: AsyncIterable<SubscribeResponse__Output>, signal: AbortSignal) {
  try {
    for await (const { payloadJson, ...event } of messages) {
      yield { ...event, payload: parsePayload(payloadJson) } satisfies BusEvent;
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

/** The bus of the node at `address`. `subscribe` starts when iteration does. */
export function remoteEventBus(transport: Transport, address: string): EventBus {
  const calls = serviceCalls(eventService, transport, address);
  return {
    async publish(topic, payload, { id = '' } = {}) {
      checkTopic(topic);
      const payloadJson = encodePayload(topic, payload, id);
      const { sequence } = await calls.publish({ topic, payloadJson, id });
      return sequence;
    },
    subscribe(topicFilter, subscribing, signal) {
      checkSubscription(topicFilter, subscribing);
      const { fromSequence = 0, epoch = '' } = subscribing;
      const options = { signal, deadlineMs: Infinity };
      return fromMessages(calls.subscribe({ topicFilter, fromSequence, epoch }, options), signal);
    },
    async lastSequence() {
      return (await calls.getLastSequence({})).sequence;
    },
    close: () => Promise.resolve(),
  };
}
