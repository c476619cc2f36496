// Every text of a request that is looked into, as long as a request may be and built to be slow: refused, or read, in time.
import { describe, expect, it } from 'vitest';
import { UserError } from '../../common/errors.ts';
import type { CreateRunRequest__Output } from '../../gen/ballast/v1/CreateRunRequest.ts';
import type { Struct__Output } from '../../gen/google/protobuf/Struct.ts';
import { bearerToken } from '../../common/tokens.ts';
import { confinePath } from '../../common/confined-path.ts';
import { MAX_REQUEST_BYTES } from './explained-ends.ts';
import { parseRunFilter } from './filter.ts';
import { parseEpochName, parseImageName, parseRunName } from './names.ts';
import { parseRunOrder } from './order.ts';
import { pageOf } from './pages.ts';
import { recordOf } from './run-request.ts';
import { loadMessage } from '../../actors/proto/protos.ts';
import { fromStruct, toStruct } from './struct.ts';

const struct = loadMessage<object, Struct__Output>('google/protobuf/struct.proto', 'google.protobuf.Struct');
/** As it arrives. */
const sent = (object: object) => struct.deserialize(struct.serialize(toStruct(object)));

/** Of processor time: far above what a linear reading takes, far below the minutes of a quadratic one. */
const BOUND_MS = 1000;

/** Texts as long as a request; each repeats what makes some kind of reader go back. */
const PARTS = [' ', '\n', 'a', '/', '.', '-', '(', '-(', '"', 'AND ', 'a = ', 'NOT ', ',', ' desc', '9', '[', '\u0000', 'runs/', '../', '🐈']; // prettier-ignore
const TEXTS = PARTS.flatMap((part) => {
  const long = part.repeat(Math.floor(MAX_REQUEST_BYTES / Buffer.byteLength(part)));
  return [`${long}!`, `runs/a${long}`];
});

/** Milliseconds of processor time since `start`. */
function spentMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'a name of a run': (text) => parseRunName(text),
  'a name of an epoch': (text) => parseEpochName(text, 'name'),
  'a name of an image': (text) => parseImageName(text, 'name'),
  'a filter': (text) => parseRunFilter(text),
  'an order': (text) => parseRunOrder(text),
  'a page token': (text) =>
    pageOf(
      { pageSize: 1, pageToken: text },
      {
        ...{
          items: [],
          order: { keyOf: () => [], compare: () => 0 },
          limits: { usual: 1, most: 1 },
          scope: [],
        },
        ...{ toMessage: () => ({}), sizeOf: () => 1 },
      },
    ),
  'a run id': (text) => request({ runId: text }),
  'a request id': (text) => request({ requestId: text }),
  'a name of a label': (text) => request({ labels: { [text]: 'x' } }),
  'a value of a label': (text) => request({ labels: { x: text } }),
  'a method': (text) => request({}, { method: text }),
  'a path': (text) => request({}, { method: 'erm', data: { source: text } }),
  'a name in a configuration': (text) => request({}, { [text]: 1 }),
  'an authorization': (text) => {
    if (bearerToken(text) === null && bearerToken(`Bearer ${text}`) === null) throw new UserError('none');
  },
};

function request(
  more: Partial<CreateRunRequest__Output>,
  config: object = { method: 'erm', data: { source: 'x' } },
) {
  const whole = { runId: '', weight: 0, labels: {}, requestId: '', ...more };
  const confine = (path: string, field: string) => confinePath(path, ['/var/empty'], field);
  return recordOf({ ...whole, config: sent(config) }, confine);
}

describe('a text as long as a request', () => {
  it.each(Object.entries(READERS))('as %s is read or refused in time', async (_, read) => {
    for (const text of TEXTS) {
      const start = process.cpuUsage();
      await Promise.resolve()
        .then(() => read(text))
        .catch((thrown: unknown) => {
          if (!(thrown instanceof Error) || !['ApiError', 'UserError'].includes(thrown.name)) throw thrown;
        });
      expect(spentMs(start), JSON.stringify(text.slice(0, 30))).toBeLessThan(BOUND_MS);
    }
  });

  it('as a filter within the limit takes no longer', () => {
    for (const part of PARTS) {
      const start = process.cpuUsage();
      try {
        parseRunFilter(part.repeat(2048 / part.length));
      } catch {
        // most are not valid filters
      }
      expect(spentMs(start), JSON.stringify(part)).toBeLessThan(BOUND_MS);
    }
  });
});

describe('a configuration', () => {
  it('of very many values is refused in time', () => {
    const start = process.cpuUsage();
    const many = sent({ list: Array<number>(60_000).fill(1) });
    expect(() => fromStruct(many, 'config')).toThrow('more than 10000 values');
    expect(spentMs(start)).toBeLessThan(BOUND_MS);
  });
});
