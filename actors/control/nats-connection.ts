/**
 * The NATS connection that registry and event bus share: the server's address, the secrets (nats-secrets.ts), and
 * endless reconnection.
 */

import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type ConnectionOptions, ErrorCode, Events, type NatsConnection, NatsError } from 'nats';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import { shown } from '../base/checks.ts';
import { withLimits } from '../base/limits.ts';
import { type NatsSecrets, secretOptions } from './nats-secrets.ts';

export interface NatsConnectionOptions extends NatsSecrets {
  /**
   * `nats://localhost:4222`, or several hosts separated by commas; with user and password if the server requires them.
   */
  readonly url: string;
}

const CONNECT_TIMEOUT_MS = 5000;
/** At the start, a server that is there but slow is asked again for this long: on a busy machine either side may be late. */
const CONNECT_PATIENCE_MS = 15_000;
/** For the requests that open a stream. */
export const OPEN_DEADLINE_MS = 20_000;
/** A server that answers no ping for two intervals counts as lost. */
const PING_INTERVAL_MS = 2000;
const MAX_PINGS_OUT = 2;
const RECONNECT_MIN_MS = 50;
const RECONNECT_SPREAD_MS = 450;

export interface NatsTarget {
  /** One host:port each. */
  readonly servers: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  readonly isTls: boolean;
}

/** @throws UserError when `url` is invalid, or has another protocol. */
export function parseNatsUrl(url: string): NatsTarget {
  if (typeof url !== 'string') throw new UserError(`NATS address '${shown(url)}': use nats://HOST:PORT.`);
  const withProtocol = url.includes('://') ? url : `nats://${url}`;
  const [first = '', ...others] = withProtocol.split(',').map((part) => part.trim());
  const protocol = first.slice(0, first.indexOf('://') + 3);
  const parsed = [first, ...others.map((part) => (part.includes('://') ? part : protocol + part))].map(
    (part) => (URL.canParse(part) ? new URL(part) : null),
  );
  const urls = parsed.filter((part) => part !== null);
  const areNats = urls.every((part) => ['nats:', 'tls:'].includes(part.protocol) && part.hostname !== '');
  if (urls.length < parsed.length || !areNats) {
    const safe = shown(url.replace(/\/\/[^/]*@/g, '//…@'));
    throw new UserError(`NATS address '${safe}': use nats://HOST:PORT.`);
  }
  const { username = '', password = '' } = urls[0] ?? {};
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === '' ? '4222' : port}`),
    user: username === '' ? null : decoded(username),
    password: username === '' ? null : decoded(password),
    isTls: urls.some((part) => part.protocol === 'tls:'),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (thrown) {
    const advice = "write '%' in user and password as %25";
    throw new UserError(`NATS address with a user: ${advice}.`, { cause: thrown });
  }
}

function connectionOptions(options: NatsConnectionOptions, target: NatsTarget): ConnectionOptions {
  const { tls } = options;
  return {
    servers: [...target.servers],
    ...(target.user === null ? {} : { user: target.user, pass: target.password ?? '' }),
    ...secretOptions(options),
    ...(tls !== undefined || target.isTls ? { tls: { ...tls } } : {}),
    name: 'ballast',
    timeout: CONNECT_TIMEOUT_MS,
    reconnect: true,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => RECONNECT_MIN_MS + Math.random() * RECONNECT_SPREAD_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    noAsyncTraces: true,
  };
}

/** Whether the requested stream does not exist, so that nothing has happened. */
export function isMissingStream(thrown: unknown): boolean {
  if (!(thrown instanceof NatsError)) return false;
  return thrown.code === ErrorCode.NoResponders.valueOf() || thrown.api_error?.err_code === 10059;
}

/** Whether a publication expected another sequence than the present one. */
export function isWrongSequence(thrown: unknown): boolean {
  return thrown instanceof NatsError && thrown.api_error?.err_code === 10071;
}

/** The operation that the server denies this user, such as `Publish to "ballast.x"`; null for other errors. */
export function forbidden(thrown: unknown): string | null {
  if (!(thrown instanceof NatsError) || !thrown.isPermissionError()) return null;
  return /Permissions Violation for (.*?)'?$/i.exec(thrown.message)?.[1] ?? thrown.message;
}

/** Advice for a stream that cannot be opened. */
export function openingAdvice(thrown: unknown): string {
  const isForbidden = forbidden(thrown instanceof CallError ? thrown.cause : thrown) !== null;
  return isForbidden
    ? 'start the coordinator first, whose user may create it, or grant this user the right'
    : 'start it with JetStream (nats-server -js)';
}

/** Every request in progress listens to its session. */
function newSession(): AbortController {
  const session = new AbortController();
  setMaxListeners(0, session.signal);
  return session;
}

async function connectPatiently(options: ConnectionOptions): Promise<NatsConnection> {
  const startMs = performance.now();
  for (;;) {
    try {
      return await connect(options);
    } catch (thrown) {
      if (!isLate(thrown) || performance.now() - startMs > CONNECT_PATIENCE_MS) throw thrown;
      await delay(RECONNECT_MIN_MS + Math.random() * RECONNECT_SPREAD_MS);
    }
  }
}

/** Whether a connection failed because client or server took too long for its next step. */
function isLate(thrown: unknown): boolean {
  if (errorCode(thrown) === 'ECONNRESET') return true; // the server gave TLS up
  const late: string[] = [ErrorCode.Timeout, ErrorCode.ConnectionTimeout, ErrorCode.AuthenticationTimeout];
  return thrown instanceof NatsError && late.includes(thrown.code);
}

/** A connection, and whether it is up. */
export class NatsLink {
  readonly connection: NatsConnection;
  /** host:port of the servers, for messages. */
  readonly name: string;
  #session = newSession();
  readonly #waiting = new Set<() => void>();

  private constructor(connection: NatsConnection, name: string) {
    this.connection = connection;
    this.name = name;
    void this.#follow();
  }

  /** @throws UserError: at once when nothing listens there or it refuses this user, within 20 s when it does not answer. */
  static async connect(options: NatsConnectionOptions): Promise<NatsLink> {
    const target = parseNatsUrl(options.url);
    const name = target.servers.join(',');
    const prepared = connectionOptions(options, target);
    try {
      return new NatsLink(await connectPatiently(prepared), name);
    } catch (thrown) {
      const reason = thrown instanceof NatsError ? thrown.code : toError(thrown).message;
      const isRefused = thrown instanceof NatsError && (thrown.isAuthError() || reason === 'BAD_CREDS');
      const advice = isRefused
        ? 'name a user that it knows, and its secret (BALLAST_NATS_USER and so on: docs/cluster.md)'
        : 'start it (nats-server -js), or correct the address';
      throw new UserError(`Cannot reach NATS at ${name} (${reason}): ${advice}.`, { cause: thrown });
    }
  }

  /** Aborted when the present connection is lost; a new signal after each reconnection. */
  get session(): AbortSignal {
    return this.#session.signal;
  }

  /** Resolves when the connection is up. @throws CallError UNAVAILABLE when it is not within `deadlineMs`. */
  async ready(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    if (this.connection.isClosed()) throw this.unavailable('is closed');
    if (!this.#session.signal.aborted) return;
    let wake: () => void = () => undefined;
    const up = new Promise<void>((resolve) => this.#waiting.add((wake = resolve)));
    try {
      await withLimits(up, { deadlineMs, signal }, 'Reconnecting');
    } catch (thrown) {
      signal?.throwIfAborted();
      throw this.unavailable('cannot be reached', thrown);
    } finally {
      this.#waiting.delete(wake);
    }
    if (this.connection.isClosed()) throw this.unavailable('is closed');
  }

  /**
   * Makes one request once the connection is up. @throws CallError UNAVAILABLE when the connection is lost, or the
   * deadline passes.
   */
  async request<T>(what: string, deadlineMs: number, send: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    await this.ready(deadlineMs);
    const { signal } = this.#session;
    const leftMs = deadlineMs - (performance.now() - startMs);
    try {
      return await withLimits(send(), { deadlineMs: leftMs, signal }, what);
    } catch (thrown) {
      throw this.failure(what, thrown);
    }
  }

  /** The error for the caller; errors that callers handle themselves pass unchanged. */
  failure(what: string, thrown: unknown): unknown {
    if (thrown instanceof UserError || isMissingStream(thrown) || isWrongSequence(thrown)) return thrown;
    if (thrown instanceof CallError && thrown.code !== 'DEADLINE_EXCEEDED') return thrown;
    if (thrown instanceof NatsError && thrown.code === ErrorCode.MaxPayloadExceeded.valueOf()) {
      return new UserError(`NATS at ${this.name} does not accept a message of this size.`, { cause: thrown });
    }
    const denied = forbidden(thrown);
    if (denied !== null) return this.unavailable(`does not allow this user: ${denied}`, thrown);
    return this.unavailable(`failed: ${what}: ${toError(thrown).message}`, thrown);
  }

  unavailable(what: string, cause?: unknown): CallError {
    return new CallError('UNAVAILABLE', `NATS at ${this.name} ${what}`, { cause });
  }

  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    // Draining waits for the server, so it is done only while connected.
    const drained = this.#session.signal.aborted ? Promise.resolve() : this.connection.drain();
    await withLimits(drained, { deadlineMs: 1000 }, 'Draining').catch(() => undefined);
    await this.connection.close();
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === Events.Disconnect && !this.#session.signal.aborted) {
        this.#session.abort(this.unavailable('lost the connection'));
      } else if (type === Events.Reconnect) {
        this.#session = newSession();
        this.#wakeAll();
      }
    }
    this.#session.abort(this.unavailable('is closed'));
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}
