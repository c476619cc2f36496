/**
 * A proxy to a server that can break: cut at once, on one side, or after some bytes, or redirected to another server.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface FlakyProxy {
  /** host:port that clients call. */
  readonly address: string;
  /** host:port that calls are led to. */
  target: string;
  /** Bytes that came from servers so far. */
  bytes(): number;
  /** Connections that clients made so far. */
  connections(): number;
  /** Breaks the connections that there are. */
  cut(): void;
  /** Breaks the server's ends of them; clients hear nothing, until `cut`. */
  cutServerSide(): void;
  /** Breaks them once `bytes` more have come from the server. */
  cutAfter(bytes: number): void;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<FlakyProxy> {
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  const silenced = new WeakSet<Socket>();
  let [received, accepted, limit] = [0, 0, Infinity];
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    upstreams.clear();
  };
  const cutServerSide = () => {
    for (const upstream of upstreams) {
      silenced.add(upstream);
      upstream.destroy();
    }
    upstreams.clear();
  };
  const server = createServer((client) => {
    accepted++;
    const [host, port] = proxy.target.split(':');
    const upstream = connect(Number(port), host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => silenced.has(socket) || other.destroy());
    }
    upstreams.add(upstream);
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      const passed = bytes.subarray(0, Math.max(0, limit - received));
      received += passed.length;
      client.write(passed);
      if (received < limit) return;
      limit = Infinity;
      // Forwarded bytes reach the client before the end.
      client.end(() => cut());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: FlakyProxy = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    target,
    bytes: () => received,
    connections: () => accepted,
    cutAfter: (bytes) => void (limit = received + Math.round(bytes)),
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
    cut,
    cutServerSide,
  };
  return proxy;
}
