import { describe, expect, it } from 'vitest';
import type { CreateRunRequest, CreateRunRequest__Output } from '../../gen/ballast/v1/CreateRunRequest.ts';
import { loadMessage } from './protos.ts';

const createRun = loadMessage<CreateRunRequest, CreateRunRequest__Output>(
  'ballast/v1/coordinator.proto',
  'ballast.v1.CreateRunRequest',
);

describe('a message', () => {
  // runId 'photos', a nested Struct, a map and a text at the end: every kind of length-delimited field.
  const whole = createRun.serialize({
    runId: 'photos',
    config: { fields: { method: { stringValue: 'erm' }, seed: { numberValue: 1.5 } } },
    labels: { team: 'vision' },
    requestId: 'wish-1',
  });

  it('is read as it was written', () => {
    const { runId, requestId, labels } = createRun.deserialize(whole);
    expect({ runId, requestId, labels }).toEqual({
      runId: 'photos',
      requestId: 'wish-1',
      labels: { team: 'vision' },
    });
  });

  it('that is cut between two fields is another message; anywhere else it is refused', () => {
    const ends = [0, ...fieldEnds(whole)];
    for (let length = 0; length < whole.length; length++) {
      const cut = () => createRun.deserialize(whole.subarray(0, length));
      if (ends.includes(length)) expect(cut, `cut at ${length}`).not.toThrow();
      else expect(cut, `cut at ${length}`).toThrow();
    }
  });

  it('with a text that is not UTF-8 is refused', () => {
    const bytes = Buffer.from([0x0a, 2, 0xc3, 0x28]); // run_id: a lead byte without its second
    expect(() => createRun.deserialize(bytes)).toThrow('not UTF-8');
  });
});

/** Where the top-level fields of a message end; all of them are length-delimited and short. */
function fieldEnds(bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; ends.push(at)) at += 2 + bytes[at + 1]!;
  return ends;
}
