import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { NodeRoom } from './node-room.ts';

const claim = (actorId: string, cpu: number, gpu = 0) => ({ actorId, resources: { cpu, gpu } });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('claims for all or for none', () => {
  const room = new NodeRoom('a', { cpu: 4, gpu: 2 });
  expect(() => room.claim([claim('one', 2), claim('two', 3)], 1000)).toThrow(
    'node a has no room: cpu (asks for 3, 2 of 4 free)',
  );
  expect(room.free).toEqual({ cpu: 4, gpu: 2 });
  room.claim([claim('one', 2, 1), claim('two', 2, 1)], 1000);
  expect(room.free).toEqual({ cpu: 0, gpu: 0 });
  expect(() => room.take(claim('three', 1))).toThrow('has no room');
});

it('gives an actor that comes what was claimed for it, with its own card', () => {
  const room = new NodeRoom('a', { cpu: 4, gpu: 2 });
  room.claim([claim('one', 2, 1), claim('two', 2, 1)], 1000);
  expect([room.take(claim('two', 2, 1)), room.take(claim('one', 2, 1))]).toEqual([[1], [0]]);
  vi.advanceTimersByTime(2000);
  room.giveBack(['one']); // too late: the actor is here
  expect(room.free).toEqual({ cpu: 0, gpu: 0 });
  room.leave('one');
  expect(room.free).toEqual({ cpu: 2, gpu: 1 });
});

it('takes back unclaimed resources', () => {
  const room = new NodeRoom('a', { cpu: 4 });
  room.claim([claim('one', 1), claim('two', 1)], 1000);
  room.giveBack(['one']);
  expect(room.free).toMatchObject({ cpu: 3 });
  vi.advanceTimersByTime(1000);
  expect(room.free).toMatchObject({ cpu: 4 });
});
