/** The time line of a run, from its events: when a shard was made and by whom, when the trainer trained and evaluated. */
import type { EventLine, WorkSpan } from './run-model.ts';

const numberIn = (payload: EventLine['payload'], name: string) =>
  typeof payload[name] === 'number' ? payload[name] : 0;
const textIn = (payload: EventLine['payload'], name: string) =>
  typeof payload[name] === 'string' ? payload[name] : '?';

/** An event is reported at the end of an activity; its seconds give the start. */
export function spansOf({ topic, time, payload }: EventLine): WorkSpan[] {
  const toMs = Date.parse(time);
  if (Number.isNaN(toMs)) return [];
  const seconds = (name: string) => numberIn(payload, name) * 1000;
  if (topic === 'shard.made') {
    const text = `Epoch ${numberIn(payload, 'epoch')}, shard ${numberIn(payload, 'shard')}: ${numberIn(payload, 'images')} images`;
    return [
      { lane: textIn(payload, 'worker'), kind: 'synthesis', fromMs: toMs - seconds('seconds'), toMs, text },
    ];
  }
  if (topic === 'shard.redone') {
    const text = `Epoch ${numberIn(payload, 'epoch')}, shard ${numberIn(payload, 'shard')} must be made again: ${textIn(payload, 'reason')}`;
    return [{ lane: textIn(payload, 'worker'), kind: 'made again', fromMs: toMs - 200, toMs, text }];
  }
  if (topic === 'epoch.finished') {
    const trained = toMs - seconds('evaluateSeconds');
    const epoch = `Epoch ${numberIn(payload, 'epoch')}`;
    return [
      {
        lane: 'trainer',
        kind: 'training',
        fromMs: trained - seconds('trainSeconds'),
        toMs: trained,
        text: `${epoch}: training`,
      },
      { lane: 'trainer', kind: 'evaluation', fromMs: trained, toMs, text: `${epoch}: evaluation` },
    ];
  }
  return [];
}

/** Events without what the page shows elsewhere and what is large. */
export function slimEvent({ sequence, time, topic, payload }: EventLine): EventLine {
  const large = (value: unknown) => typeof value === 'object' && value !== null;
  const kept = Object.entries(payload).filter(([, value]) => !large(value));
  return { sequence, time, topic, payload: Object.fromEntries(kept) };
}

export function isEventLine(value: unknown): value is EventLine {
  if (typeof value !== 'object' || value === null) return false;
  const { sequence, time, topic, payload } = value as Partial<Record<keyof EventLine, unknown>>;
  return (
    typeof sequence === 'number' &&
    typeof time === 'string' &&
    typeof topic === 'string' &&
    typeof payload === 'object' &&
    payload !== null
  );
}
