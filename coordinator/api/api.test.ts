import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../common/errors.ts';
import { createLog } from '../../common/log.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import type { CreateRunRequest__Output } from '../../gen/ballast/v1/CreateRunRequest.ts';
import type { Struct__Output } from '../../gen/google/protobuf/Struct.ts';
import { WireError } from '../../actors/base/call-errors.ts';
import { loadMessage } from '../../actors/proto/protos.ts';
import { ApiError, type ApiErrorFacts, invalidField, readErrorInfo, toFacts, toRpcStatus } from './errors.ts';
import { parseEpochName, parseImageName, parseRunName } from './names.ts';
import { recordOf } from './run-request.ts';
import { fromStruct, fromTimestamp, toDuration, toStruct, toTimestamp } from './struct.ts';

const silent = createLog({ write: () => undefined });
const struct = loadMessage<object, Struct__Output>('google/protobuf/struct.proto', 'google.protobuf.Struct');

/** As it arrives. */
const sent = (object: object) => struct.deserialize(struct.serialize(toStruct(object)));

function factsOf(work: () => unknown): ApiErrorFacts {
  try {
    work();
  } catch (thrown) {
    return toFacts(thrown, silent);
  }
  throw new Error('nothing was refused');
}

describe('values of JSON', () => {
  it('come back from a Struct as they were', () => {
    const value = { a: 1.5, b: 'x', c: [true, null, { d: [] }], e: {} };
    expect(fromStruct(sent(value), 'config')).toEqual(value);
  });

  it('are refused when they are nested too deeply, or would be a prototype', () => {
    let deep: object = {};
    for (let i = 0; i < 40; i++) deep = { inner: deep };
    expect(factsOf(() => fromStruct(sent(deep), 'config')).message).toContain('nested more than 16');
    const proto = JSON.parse('{"__proto__": {"polluted": 1}}') as object;
    expect(factsOf(() => fromStruct(sent(proto), 'config')).reason).toBe('INVALID_FIELD');
  });

  it('have times and durations', () => {
    const iso = '2026-01-02T03:04:05.678Z';
    const { seconds, nanos } = toTimestamp(iso)!;
    expect(fromTimestamp({ seconds: Number(seconds), nanos: nanos! })).toBe(iso);
    expect(toDuration(1.25)).toEqual({ seconds: 1, nanos: 250_000_000 });
    expect(toTimestamp(null)).toBeNull();
  });
});

describe('names', () => {
  it('are read', () => {
    expect(parseRunName('runs/a-1')).toBe('a-1');
    expect(parseEpochName('runs/a/epochs/12', 'name')).toEqual({ run: 'a', epoch: 12 });
    expect(parseEpochName('runs/a/epochs/-', 'parent', true)).toEqual({ run: 'a', epoch: null });
    expect(parseImageName('runs/a/epochs/1/images/0', 'name')).toEqual({ run: 'a', epoch: 1, image: 0 });
  });

  it.each([
    '',
    'a',
    'runs/',
    'runs/../x',
    'runs/A',
    'runs/a/b',
    'runs/-a',
    'runs/a-',
    `runs/${'a'.repeat(64)}`,
  ])('are refused: %s', (name) => {
    expect(factsOf(() => parseRunName(name))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      metadata: { field: 'name' },
    });
  });

  it.each(['runs/a/epochs/0', 'runs/a/epochs/-', 'runs/a/epochs/1/images/1', 'runs/a/epochs/1e3'])(
    'of epochs are refused: %s',
    (name) =>
      expect(factsOf(() => parseEpochName(name, 'name')).message).toContain('runs/{run}/epochs/{epoch}'),
  );
});

describe('errors', () => {
  it('carry their cause for programs', () => {
    const status = toRpcStatus(invalidField('config.seed', -1, 'must be 0 or more').facts);
    expect(status.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(status.details).toBe('config.seed: must be 0 or more');
    const info = readErrorInfo(status as grpc.ServiceError);
    expect(info).toEqual({
      reason: 'INVALID_FIELD',
      domain: 'ballast',
      metadata: { field: 'config.seed', value: '-1' },
    });
  });

  it('of a defect in an actor only says where to find it', () => {
    const message = 'cannot read /srv/secret/place';
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    const facts = toFacts(new WireError({ code: 'INTERNAL', message, kind: 'internal' }), log);
    expect(facts.message).toMatch(/^internal error [0-9a-f]{8}; the coordinator's log has its cause$/);
    expect(lines.join('')).toContain(message);
  });

  it('of ours tell nothing of our insides', () => {
    const lines: string[] = [];
    const facts = toFacts(
      new Error('ENOENT: /srv/secret/place'),
      createLog({ write: (line) => lines.push(line) }),
    );
    expect(facts.code).toBe('INTERNAL');
    expect(facts.message).not.toContain('secret');
    expect(lines.join()).toContain('/srv/secret/place');
    expect(lines.join()).toContain(facts.metadata!['id']);
  });

  it('stay small', () => {
    const { details } = toRpcStatus(
      new ApiError({ code: 'ABORTED', reason: 'X', message: 'x'.repeat(9999) }).facts,
    );
    expect(details!.length).toBeLessThanOrEqual(1500);
  });
});

describe('a request for a run', () => {
  const confine = (path: string) =>
    path.startsWith('/') ? Promise.reject(new UserError('not there')) : Promise.resolve(`/data/${path}`);
  const request = (more: Partial<CreateRunRequest__Output> & { config?: never } = {}, config: object = {}) =>
    ({
      ...{ runId: '', weight: 0, labels: {}, requestId: '', ...more },
      config: sent({ method: 'erm', data: { source: 'pictures' }, ...config }),
    }) as CreateRunRequest__Output;
  const refused = async (...args: Parameters<typeof request>) => {
    const thrown: unknown = await recordOf(request(...args), confine).catch((error: unknown) => error);
    return toFacts(thrown, silent);
  };

  it('gives a run with every default', async () => {
    const record = await recordOf(request(), confine);
    expect(record).toMatchObject({ state: 'queued', weight: 1, request: null });
    expect(record.id).toMatch(/^erm-\d{8}-\d{6}-[0-9a-f]{4}$/);
    const { out: _, ...expected } = parseRunConfig({ method: 'erm', data: { source: '/data/pictures' } });
    expect(record.config).toMatchObject(expected);
  });

  it('without a configuration gets the reason', async () => {
    const thrown: unknown = await recordOf({ ...request(), config: null }, confine).catch(
      (error: unknown) => error,
    );
    expect(toFacts(thrown, silent)).toMatchObject({
      reason: 'INVALID_FIELD',
      metadata: { field: 'config' },
      message: 'config: is missing; give at least a method and data.source',
    });
  });

  it('has a digest of what it asks for', async () => {
    const digest = async (config: object) =>
      (await recordOf(request({ requestId: 'r' }, config), confine)).request!.digest;
    expect(await digest({ seed: 1 })).toBe(await digest({}));
    expect(await digest({ seed: 2 })).not.toBe(await digest({}));
  });

  it.each([
    [{ runId: 'No' }, {}, 'run_id', 'No'],
    [{ weight: 1000 }, {}, 'weight', '1000'],
    [{ requestId: 'x'.repeat(129) }, {}, 'request_id', 'x'.repeat(129)],
    [{ labels: { 'a b': 'c' } }, {}, 'labels', 'a b'],
    [{ labels: { a: '' } }, {}, 'labels.a', ''],
    [{}, { data: { source: 'x'.repeat(5000) } }, 'config.data.source', `${'x'.repeat(200)}…`],
    [{}, { training: { epochs: 0 } }, 'config.training.epochs', '0'],
    [{}, { trainning: {} }, 'config.trainning', '{}'],
    [{}, { out: '/etc' }, 'config.out', '/etc'],
    [{}, { data: { source: '/etc/passwd' } }, 'config.data.source', '/etc/passwd'],
    [{}, { data: { source: 'x', roots: ['/'] } }, 'config.data.roots', '["/"]'],
    [{}, { method: 'iois' }, 'config.method', 'iois'],
  ])('names the field that is wrong: %j %j', async (more, config, field, value) => {
    const facts = await refused(more, config);
    expect(facts).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      metadata: { field, value },
    });
    expect(facts.message.startsWith(field)).toBe(true);
  });
});
