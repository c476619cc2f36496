/** Answers of the page's server: JSON and text, compressed where it pays, and streams of events. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Refused } from './refused.ts';

const SMALL_BYTES = 1400;
const MAX_BODY_BYTES = 256 * 1024;
/** Comments keep proxies from closing a quiet stream. */
const KEEP_ALIVE_MS = 15_000;

export interface Reply {
  readonly status?: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export const json = (value: unknown): Reply => ({ type: 'application/json', body: JSON.stringify(value) });

const COMPRESSED = /^(text\/|application\/(json|javascript))/;

export async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  const { status = 200, type, headers = {} } = reply;
  let body = Buffer.from(reply.body as Uint8Array);
  const accepts = String(request.headers['accept-encoding'] ?? '').includes('gzip');
  const isCompressed = accepts && body.length > SMALL_BYTES && COMPRESSED.test(type);
  if (isCompressed) body = await promisify(gzip)(body, { level: 6 });
  response.writeHead(status, {
    'content-type': type.startsWith('text/') || type.includes('json') ? `${type}; charset=utf-8` : type,
    'content-length': body.length,
    ...(isCompressed ? { 'content-encoding': 'gzip', vary: 'accept-encoding' } : {}),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The JSON object that a request brings. @throws Refused */
export async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    throw new Refused(415, 'send application/json');
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY_BYTES)
      throw new Refused(413, `the request is larger than ${MAX_BODY_BYTES / 1024} KiB`);
    parts.push(part);
  }
  try {
    const value = JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  throw new Refused(400, 'the request holds no JSON object');
}

/** A stream of server-sent events. A client that does not read it in time is disconnected, and reconnects. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #keepAlive: NodeJS.Timeout;
  isOpen = true;

  constructor(response: ServerResponse, onClose: () => void) {
    this.#response = response;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 1000\n\n');
    this.#keepAlive = setInterval(() => response.write(': alive\n\n'), KEEP_ALIVE_MS).unref();
    response.on('close', () => {
      this.isOpen = false;
      clearInterval(this.#keepAlive);
      onClose();
    });
  }

  /** Whether everything sent is on its way: a slow reader gets fewer, larger updates. */
  get isReady(): boolean {
    return this.isOpen && !this.#response.writableNeedDrain;
  }

  send(data: unknown): void {
    if (this.isOpen) this.#response.write(`data: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    this.#response.end();
  }
}
