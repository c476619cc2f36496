import { describe, expect, it } from 'vitest';
import { checkTopic, checkTopicFilter, topicMatches } from './event-bus.ts';

describe('topicMatches', () => {
  it.each([
    ['epoch', 'epoch', true],
    ['epoch', 'epoch.finished', false],
    ['epoch.finished', 'epoch', false],
    ['*', 'epoch', true],
    ['*', 'epoch.finished', false],
    ['shard.*.done', 'shard.3.done', true],
    ['shard.*.done', 'shard.3.lost', false],
    ['>', 'epoch', true],
    ['>', 'a.b.c', true],
    ['shard.>', 'shard.3.done', true],
    ['shard.>', 'shard', false],
    ['*.*', 'a.b', true],
  ])('%s on %s: %s', (filter, topic, expected) => {
    expect(topicMatches(filter, topic)).toBe(expected);
  });
});

it('topics have no wildcards, filters have > only at their end', () => {
  for (const topic of ['a', 'a.b-1.c_2']) expect(() => checkTopic(topic)).not.toThrow();
  for (const topic of ['', 'a.', '.a', 'a b', 'a.*', '>', 'ä'])
    expect(() => checkTopic(topic)).toThrow('Event topic');
  for (const filter of ['a', '*', '>', 'a.*.>']) expect(() => checkTopicFilter(filter)).not.toThrow();
  for (const filter of ['', 'a.>.b', 'a*', '>.'])
    expect(() => checkTopicFilter(filter)).toThrow('Event filter');
});
