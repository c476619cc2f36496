import * as grpc from '@grpc/grpc-js';
import { afterEach, expect, it, vi } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { ChannelPool, plainCalls } from '../calls/channels.ts';
import { serveHealth } from './health-port.ts';
import { healthService } from './health.ts';

const cleanUps: (() => void)[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

async function serve() {
  const health = await serveHealth({ host: '127.0.0.1', port: 0 });
  const pool = new ChannelPool({ security: { tls: null, token: null } });
  cleanUps.push(
    () => health.close(),
    () => pool.close(),
  );
  return { health, pool, calls: plainCalls(healthService(), pool, health.address) };
}

it('distinguishes readiness and liveness while the process drains', async () => {
  const { health, calls } = await serve();
  const check = async (service: string) => (await calls.check({ service })).status;
  expect(await Promise.all(['', 'readiness', 'liveness'].map(check))).toEqual(Array(3).fill('SERVING'));
  health.setServing(false);
  expect(await Promise.all(['', 'readiness', 'liveness'].map(check))).toEqual([
    'NOT_SERVING',
    'NOT_SERVING',
    'SERVING',
  ]);
  await expect(check('ballast.v1.CoordinatorService')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('notifies watchers at once, and ends when it closes', async () => {
  const { health, calls } = await serve();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { status } of calls.watch({ service: '' }, { deadlineMs: Infinity })) seen.push(status);
  })();
  const live: string[] = [];
  const other = (async () => {
    for await (const { status } of calls.watch({ service: 'unheard-of' })) live.push(status);
  })();
  await eventually(() => expect([seen, live]).toEqual([['SERVING'], ['SERVICE_UNKNOWN']]));
  health.setServing(false);
  health.setServing(false);
  health.setServing(true);
  await eventually(() => expect(seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING']));
  health.close();
  await Promise.allSettled([watching, other]);
  expect(live).toEqual(['SERVICE_UNKNOWN']);
});

it('serves nothing else, not even a large question', async () => {
  const { health, pool, calls } = await serve();
  const client = pool.client(health.address);
  for (const path of [
    '/ballast.runtime.v1.TransportService/Connect',
    '/ballast.runtime.v1.NodeService/ListNodes',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  ]) {
    const answer = new Promise((resolve) =>
      client.makeUnaryRequest(
        path,
        (x: Buffer) => x,
        (x) => x,
        Buffer.alloc(0),
        (error) => resolve(error?.code),
      ),
    );
    expect(await answer).toBe(grpc.status.UNIMPLEMENTED);
  }
  await expect(calls.check({ service: 'x'.repeat(5000) })).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
  expect((await calls.check({ service: '' })).status).toBe('SERVING');
});

it('refuses a port that is taken', async () => {
  const { health } = await serve();
  const port = Number(health.address.split(':')[1]);
  await expect(serveHealth({ host: '127.0.0.1', port })).rejects.toThrow(/is in use: choose another port/);
});
