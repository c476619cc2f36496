import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig, type KubernetesObject } from '@kubernetes/client-node';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { KindWatch } from './kind-watch.ts';

const PATH = '/apis/test/v1/things';
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** An API server that lists `things`; `onWatch` answers a request to watch. */
async function serve(onWatch: Answer, things: readonly KubernetesObject[] = []) {
  const server = createServer((request, response) => onWatch(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const config = new KubeConfig();
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: 'test', server: address, skipTLSVerify: true }, { name: 'user' });
  const list = () => Promise.resolve({ items: [...things], metadata: { resourceVersion: '1' } });
  return { server, config, kind: { path: PATH, list } };
}

const thing = (name: string) => ({ metadata: { name } });
const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;

describe('a watch of a kind', () => {
  let close: () => void = () => undefined;
  afterEach(() => close());

  it('tells of what is there, and of what changes', async () => {
    const { server, config, kind } = await serve(
      (_, response) => {
        response.write(line('ADDED', thing('b')));
        response.write(line('DELETED', thing('a')));
      },
      [thing('a')],
    );
    close = () => server.closeAllConnections();
    const told: string[] = [];
    const watch = new KindWatch(config, kind, {
      see: ({ metadata }) => told.push(`see ${metadata?.name}`),
      lose: ({ metadata }) => told.push(`lose ${metadata?.name}`),
    });
    await watch.begun;
    expect(told[0]).toBe('see a');
    await eventually(() => expect(told).toEqual(['see a', 'see b', 'lose a']));
    expect(watch.list()).toEqual([thing('b')]);
    await watch.stop();
    server.close();
  });

  it('tries again after a failure, and tells of it', async () => {
    let requests = 0;
    const { server, config, kind } = await serve((_, response) => {
      if (++requests === 1) response.writeHead(500).end();
      else response.write(line('ADDED', thing('a')));
    });
    close = () => server.closeAllConnections();
    const [failures, seen]: [unknown[], string[]] = [[], []];
    let successes = 0;
    const listeners = {
      see: ({ metadata }: KubernetesObject) => void seen.push(metadata?.name ?? ''),
      lose: () => undefined,
      onFailure: (thrown: unknown) => void failures.push(thrown),
      onSuccess: () => void successes++,
    };
    const watch = new KindWatch(config, kind, listeners, 1);
    await eventually(() => expect(seen).toEqual(['a']));
    expect([failures.length, successes]).toEqual([1, 1]); // the failed beginning was none
    await watch.stop();
    server.close();
  });

  it('that is stopped while it starts leaves no connection', async () => {
    const { server, config, kind } = await serve(() => undefined);
    close = () => server.closeAllConnections();
    const arrived = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
    const watch = new KindWatch(config, kind, { see: () => undefined, lose: () => undefined });
    const [{ socket }, response] = await arrived;
    const closed = once(socket, 'close');
    const stopped = watch.stop();
    response.flushHeaders(); // and no end, as an API server does it
    await Promise.all([stopped, closed]);
    server.close();
  });
});
