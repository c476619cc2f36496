import { expect, it } from 'vitest';
import { withLinesThatFit } from './listed.ts';
import type { ActorStatus } from './status.ts';

it('a list of actors keeps the log lines of the latest ones, as far as they fit into a message', () => {
  const line = 'x'.repeat(1024);
  const statuses = Array.from({ length: 100 }, (_, i) => {
    return { actorId: `a-${i}`, lastLogLines: Array<string>(16).fill(line) } as unknown as ActorStatus;
  });
  const listed = withLinesThatFit(statuses);
  expect(listed.map(({ actorId }) => actorId)).toEqual(statuses.map(({ actorId }) => actorId));
  const lengths = listed.map(({ lastLogLines }) => lastLogLines.length);
  expect(lengths).toEqual([...Array<number>(36).fill(0), ...Array<number>(64).fill(16)]);
});
