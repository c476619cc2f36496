import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CallError } from '../../actors/base/call-errors.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { fileStem } from './download.ts';
import { timeOf, toViewEvent } from './events.ts';
import { toJson } from './json.ts';
import { resuming } from './resume.ts';
import { parseLabelFlags } from './submit.ts';
import { readApiTarget } from './target.ts';

const dir = mkdtempSync(join(tmpdir(), 'ballast-api-'));
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(dir, name), content, { mode: 0o600 });
  return join(dir, name);
}

describe('the server to call', () => {
  it('is named by flag, else by the environment, with a token out of a file', () => {
    const environment = { BALLAST_SERVER: 'a:1', BALLAST_API_TOKEN_FILE: file('token', 'secret\n') };
    expect(readApiTarget({}, environment, dir)).toEqual({ address: 'a:1', token: 'secret', tls: null });
    const flags = { server: 'grpc://b:2', tokenFile: 'other' };
    file('other', 'word');
    expect(readApiTarget(flags, environment, dir)).toMatchObject({ address: 'b:2', token: 'word' });
  });

  it('is spoken to with TLS by an authority, with a certificate of the caller or without', () => {
    const tls = { BALLAST_SERVER: 'a:1', BALLAST_TLS_CA: file('ca', 'ca') };
    expect(readApiTarget({}, tls, dir).tls).toEqual({ ca: Buffer.from('ca'), own: null });
    const both = { ...tls, BALLAST_TLS_CERT: file('cert', 'c'), BALLAST_TLS_KEY: file('key', 'k') };
    expect(readApiTarget({}, both, dir).tls?.own).toEqual({ cert: Buffer.from('c'), key: Buffer.from('k') });
    expect(() => readApiTarget({}, { ...both, BALLAST_TLS_KEY: '' }, dir)).toThrow('go together');
  });

  it.each(['', 'two words\n', 'bell\u0007'])('has no token %j', (text) => {
    const flags = { server: 'a:1', tokenFile: file('bad', text) };
    expect(() => readApiTarget(flags, {}, dir)).toThrow(
      /^--token-file .*bad: the file (is empty|holds no token)$/,
    );
  });
});

describe('events', () => {
  const at = { seconds: 100, nanos: 500_000_000 };
  const event = (fields: object) => ({ sequence: 1, time: at, ...fields }) as unknown as RunEvent__Output;

  it('are what the view of a run shows', () => {
    const started = { method: 'iois', seed: 1, classes: ['a'], classCounts: [2], epochs: 3, firstEpoch: 1 };
    expect(toViewEvent(event({ started }))).toEqual({ type: 'started', ...started, runDir: '' });
    const epoch = {
      name: 'runs/a/epochs/12',
      samplingAccuracy: [],
      quota: [4],
      fidelity: 0.5,
      classFidelity: [{ classIndex: 0, fidelity: 0.5 }, { classIndex: 1 }],
      synthesisDuration: { seconds: 1, nanos: 500_000_000 },
      trainDuration: null,
      evaluateDuration: null,
      validation: null,
    };
    expect(toViewEvent(event({ epochFinished: { epoch } }))).toMatchObject({
      type: 'epoch',
      record: {
        epoch: 12,
        samplingAccuracy: null,
        quota: [4],
        fidelity: { all: 0.5, tail: null, perClass: [0.5, null] },
        synthesisSeconds: 1.5,
        trainSeconds: 0,
      },
    });
    expect(toViewEvent(event({ stateChanged: { state: 'STATE_QUEUED', reason: '' } }))).toBeNull();
    expect(toViewEvent(event({}))).toBeNull();
  });

  it('happened when the server says, but never in the future', () => {
    expect(timeOf(event({}), 200_000)).toBe(100_500);
    expect(timeOf(event({}), 100_000)).toBe(100_000);
    expect(timeOf(event({ time: null }), 7)).toBe(7);
  });

  it('have the JSON of protobuf, labels named as fields are included', () => {
    const config = {
      fields: { a: { kind: 'listValue', listValue: { values: [{ kind: 'boolValue', boolValue: true }] } } },
    };
    const labels = { config: 'x', startTime: 'y' };
    expect(
      toJson({ time: at, trainDuration: at, config, labels, test: null, list: [{ endTime: at }] }),
    ).toEqual({
      time: '1970-01-01T00:01:40.500Z',
      trainDuration: '100.5s',
      config: { a: [true] },
      labels,
      list: [{ endTime: '1970-01-01T00:01:40.500Z' }],
    });
  });
});

describe('streams that break', () => {
  const lost = new CallError('UNAVAILABLE', 'gone');
  const { signal } = new AbortController();

  /** Gives the first stream at the first call, and so on; each ends by what is thrown last in it. */
  function streams(...all: (number | Error)[][]): () => AsyncGenerator<number> {
    let call = 0;
    return async function* () {
      for (const item of all[call++]!) {
        await Promise.resolve();
        if (typeof item !== 'number') throw item;
        yield item;
      }
    };
  }

  async function itemsOf(open: () => AsyncIterable<number>, patienceMs?: number) {
    const items: (number | string)[] = [];
    const options = {
      signal,
      wait: () => Promise.resolve(),
      onLost: () => items.push('lost'),
      ...(patienceMs === undefined ? {} : { patienceMs }),
    };
    try {
      for await (const item of resuming(open, options)) items.push(item);
    } catch (thrown) {
      items.push((thrown as Error).message);
    }
    return items;
  }

  it('begin again, and the loss is reported once', async () => {
    expect(await itemsOf(streams([1, 2, lost], [lost], [3, lost], [4]))).toEqual([
      1,
      2,
      'lost',
      3,
      'lost',
      4,
    ]);
  });

  it('are not waited for when none began, when it lasts, or when the server refuses', async () => {
    expect(await itemsOf(streams([lost]))).toEqual(['gone']);
    expect(await itemsOf(streams([1, lost], [2]), -1)).toEqual([1, 'gone']);
    expect(await itemsOf(streams([1, new CallError('NOT_FOUND', 'no run')]))).toEqual([1, 'no run']);
  });
});

it('files of images stay in their folder', () => {
  expect(['cat', 'a/b', '../x', '.hidden', 'été 1', ''].map(fileStem)).toEqual([
    'cat',
    'a_b',
    '_._x',
    '_hidden',
    'été 1',
    '',
  ]);
});

it('labels are name=value', () => {
  expect(parseLabelFlags(['a=b', 'c=d=e', 'a=z'])).toEqual({ a: 'z', c: 'd=e' });
  expect(() => parseLabelFlags(['=x'])).toThrow('write name=value');
});
