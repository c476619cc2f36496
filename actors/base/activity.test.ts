import { describe, expect, it } from 'vitest';
import { Activity, ActivityWatch } from './activity.ts';

describe('the activity of a thread', () => {
  it('is seen from outside: since when it has not come back, and with which calls', () => {
    const activity = new Activity();
    let nowMs = 1000;
    const watch = new ActivityWatch(activity.memory, () => nowMs);
    expect(watch.look()).toEqual({ busyMs: 0, methods: [] });
    activity.count('a/First', 1);
    activity.count('a/Second', 1);
    activity.count('a/Second', 1);
    activity.count('a/First', -1);
    activity.count('a/Second', -1);
    nowMs += 700;
    expect(watch.look()).toEqual({ busyMs: 700, methods: ['a/Second'] });
    Atomics.add(new Int32Array(activity.memory), 0, 1); // a turn of its event loop
    expect(watch.look()).toEqual({ busyMs: 0, methods: ['a/Second'] });
  });

  it('has room for as many methods as there may be, and goes on without the names of more', () => {
    const activity = new Activity();
    for (let i = 0; i < 300; i++) activity.count(`service/Method${i}`, 1);
    const { methods } = new ActivityWatch(activity.memory).look();
    expect(methods).toHaveLength(128);
    expect(methods.at(-1)).toBe('service/Method127');
    for (let i = 0; i < 300; i++) activity.count(`service/Method${i}`, -1);
    expect(new ActivityWatch(activity.memory).look().methods).toEqual([]);
  });
});
