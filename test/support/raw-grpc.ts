/** gRPC calls as bytes on a plain HTTP/2 connection, for what no gRPC client would send. */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';

export interface RawEnd {
  /** grpc-status; null when the stream ended without one. */
  readonly code: number | null;
  readonly message: string;
  readonly httpStatus: number | null;
  readonly body: Buffer;
}

export type RawHeaders = Readonly<Record<string, string>>;

export class RawClient {
  readonly #session: ClientHttp2Session;
  readonly #headers: RawHeaders;

  /** `headers` go with every call. */
  constructor(address: string, headers: RawHeaders = {}) {
    this.#headers = headers;
    this.#session = connect(`http://${address}`);
    this.#session.on('error', () => undefined);
  }

  /** Sends `bytes` as they are and ends; resolves when the stream is over, at the latest after `waitMs`. */
  call(path: string, bytes: Uint8Array, headers: RawHeaders = {}, waitMs = 2000): Promise<RawEnd> {
    return new Promise((resolve) => {
      const stream = this.#session.request({
        ...{ ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc' },
        ...this.#headers,
        ...headers,
      });
      const got: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      const timer = setTimeout(() => stream.close(), waitMs);
      stream.on('response', (response) => void Object.assign(got, response));
      stream.on('trailers', (trailers) => void Object.assign(got, trailers));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', () => undefined);
      stream.on('close', () => {
        clearTimeout(timer);
        const code = got['grpc-status'];
        resolve({
          code: code === undefined ? null : Number(code),
          message: decodeURIComponent(String(got['grpc-message'] ?? '')),
          httpStatus: (got[':status'] as unknown as number | undefined) ?? null,
          body: Buffer.concat(chunks),
        });
      });
      stream.end(bytes);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** A message with gRPC's five bytes before it, which may lie. */
export function framed(message: Uint8Array, { flag = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** Sends bytes on a new TCP connection; resolves to what came back when it is closed, or after `waitMs`. */
export function rawBytes(address: string, bytes: Uint8Array, waitMs = 300): Promise<Buffer> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = createConnection(Number(port), host, () => socket.write(bytes));
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    };
    const timer = setTimeout(done, waitMs);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', done).on('close', done);
  });
}
