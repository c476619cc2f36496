/**
 * Follows a process's TLS and token files while they are renewed (by cert-manager, for example). It checks them every
 * second, and adopts them when all are complete and belong together. New connections and calls then use them; open
 * connections stay. Invalid files are reported once, and the last valid ones stay in force.
 */

import type { experimental } from '@grpc/grpc-js';
import { toError } from '../../common/errors.ts';
import { versionOf } from '../../common/files.ts';
import type { Log } from '../../common/log.ts';
import { withOwnToken } from './own-token.ts';
import { type Environment, readSecurity, type Security, SECURITY_KEYS, type TlsFiles } from './security.ts';

const CHECK_EVERY_MS = 1000;

type Provider = experimental.CertificateProvider;
type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

export interface SecurityFilesOptions {
  /** Destination of messages; null where another object of the same process reports. */
  readonly log: Log | null;
  /** Milliseconds on any monotonic clock. */
  readonly now?: () => number;
}

/** The current content of the environment's files, as gRPC's credentials and the checks of calls read it. */
export class SecurityFiles implements Security, Provider {
  readonly #environment: Environment;
  readonly #paths: readonly string[];
  readonly #log: Log | null;
  readonly #now: () => number;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  #current: Security;
  #version: string;
  #checkedMs: number;
  #toldProblem = '';
  #timer: NodeJS.Timeout | undefined;

  /** @throws UserError as `readSecurity` does. */
  constructor(given: Environment, { log, now = () => performance.now() }: SecurityFilesOptions) {
    const environment = withOwnToken(given);
    this.#environment = environment;
    this.#paths = SECURITY_KEYS.flatMap((key) => environment[key] || []);
    this.#log = log;
    this.#now = now;
    this.#version = versionOf(this.#paths);
    this.#current = readSecurity(environment);
    this.#checkedMs = now();
  }

  get tls(): TlsFiles | null {
    return this.#fresh().tls;
  }

  get token(): string | null {
    return this.#fresh().token;
  }

  get otherTokens(): readonly string[] {
    return this.#fresh().otherTokens ?? [];
  }

  get isInsecure(): boolean {
    return this.#current.isInsecure ?? false;
  }

  get certificates(): Provider | null {
    return this.#current.tls === null ? null : this;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    this.#watch();
    process.nextTick(() => this.#tellCa(listener)); // gRPC is not ready for it earlier
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
    this.#watch();
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    this.#watch();
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
    this.#watch();
  }

  /** Checks periodically while anybody listens. */
  #watch(): void {
    const isWanted = this.#caListeners.size + this.#identityListeners.size > 0;
    if (isWanted) this.#timer ??= setInterval(() => this.#fresh(), CHECK_EVERY_MS).unref();
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #fresh(): Security {
    const nowMs = this.#now();
    if (nowMs - this.#checkedMs < CHECK_EVERY_MS) return this.#current;
    this.#checkedMs = nowMs;
    const version = versionOf(this.#paths);
    if (version === this.#version) return this.#current;
    try {
      const read = readSecurity(this.#environment);
      if (versionOf(this.#paths) !== version) return this.#current; // a check is in progress
      this.#current = read;
      this.#version = version;
      this.#toldProblem = '';
      this.#log?.info('TLS and token files changed: new connections and calls use the new ones');
      for (const listener of this.#caListeners) this.#tellCa(listener);
      for (const listener of this.#identityListeners) this.#tellIdentity(listener);
    } catch (thrown) {
      const { message } = toError(thrown);
      if (message === this.#toldProblem) return this.#current;
      this.#toldProblem = message;
      this.#log?.warn('changed TLS or token files cannot be used; the previous ones stay in force', {
        problem: message,
      });
    }
    return this.#current;
  }

  #tellCa(listener: CaListener): void {
    const { tls } = this.#current;
    if (tls !== null) listener({ caCertificate: tls.ca });
  }

  #tellIdentity(listener: IdentityListener): void {
    const { tls } = this.#current;
    if (tls !== null) listener({ certificate: tls.cert, privateKey: tls.key });
  }
}
