/**
 * Access control of a process: mutual TLS and a token, as the environment names them. Children inherit the environment,
 * so a whole cluster is set up by setting it for each node. Secrets are named by file and never printed. Without TLS a
 * process serves on loopback only.
 */

import { timingSafeEqual, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { toError, UserError } from '../../common/errors.ts';
import { readPrivateFile } from '../../common/private-file.ts';
import { checkOwnCertificate } from './certificates.ts';

export const TLS_CA_KEY = 'BALLAST_TLS_CA';
export const TLS_CERT_KEY = 'BALLAST_TLS_CERT';
export const TLS_KEY_KEY = 'BALLAST_TLS_KEY';
export const TOKEN_KEY = 'BALLAST_TOKEN_FILE';
/** `1`: serve other machines without TLS, where something else (a network policy) protects the process. */
export const INSECURE_KEY = 'BALLAST_INSECURE';

/** The name in every certificate of a cluster: nodes are reached by addresses that no certificate can know. */
export const CERTIFICATE_NAME = 'ballast';

export interface TlsFiles {
  /** The certificate authority of every certificate of the cluster, PEM. */
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Security {
  /** Null: plain text, on loopback only. */
  readonly tls: TlsFiles | null;
  /** The token that calls send and must present. Null: none. */
  readonly token: string | null;
  /** These are accepted too, while tokens are changed one process after another. */
  readonly otherTokens?: readonly string[];
  /** Plain text on every host. */
  readonly isInsecure?: boolean;
  /** Notifies new connections of renewed certificates; without it they use `tls`. */
  readonly certificates?: grpc.experimental.CertificateProvider | null;
}

/** Variables that name files. */
export const SECURITY_KEYS = [TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY];

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the files that the environment names. @throws UserError for one that is missing or wrong, naming variable and
 * file; also when the own certificate is outside its validity.
 */
export function readSecurity(environment: Environment, nowMs = Date.now()): Security {
  const [ca, cert] = [TLS_CA_KEY, TLS_CERT_KEY].map((name) => readNamed(environment, name));
  const key = readSecret(environment, TLS_KEY_KEY);
  const tokens = readTokens(environment);
  if (!ca && !cert && !key) {
    return { tls: null, ...tokens, ...(environment[INSECURE_KEY] === '1' ? { isInsecure: true } : {}) };
  }
  if (!ca || !cert || !key) {
    throw new UserError(`TLS needs all three: ${TLS_CA_KEY}, ${TLS_CERT_KEY} and ${TLS_KEY_KEY}.`);
  }
  const named = (name: string, pem: Buffer) => ({ where: `${name}=${environment[name]}`, pem });
  const own = { ca: named(TLS_CA_KEY, ca), cert: named(TLS_CERT_KEY, cert), key: named(TLS_KEY_KEY, key) };
  checkOwnCertificate(own, nowMs);
  return { tls: { ca, cert, key }, ...tokens };
}

/** One token per line; the first is sent, all are accepted. */
function readTokens(environment: Environment): Pick<Security, 'token' | 'otherTokens'> {
  const file = readSecret(environment, TOKEN_KEY);
  if (file === null) return { token: null };
  const [token = '', ...otherTokens] = file
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (token === '') throw new UserError(`${TOKEN_KEY}=${environment[TOKEN_KEY]}: the file is empty.`);
  return { token, ...(otherTokens.length === 0 ? {} : { otherTokens }) };
}

function readNamed(environment: Environment, name: string): Buffer | null {
  const path = environment[name];
  if (path === undefined || path === '') return null;
  try {
    return readFileSync(path);
  } catch (thrown) {
    throw new UserError(`${name}=${path}: cannot be read (${toError(thrown).message}).`, { cause: thrown });
  }
}

/** A file that nobody else may read. @throws UserError when others could have read it. */
function readSecret(environment: Environment, name: string): Buffer | null {
  const path = environment[name];
  if (path === undefined || path === '') return null;
  try {
    return readPrivateFile(path);
  } catch (thrown) {
    throw new UserError(`${name}=${toError(thrown).message}`, { cause: thrown });
  }
}

export function channelCredentials({ tls, certificates }: Security): grpc.ChannelCredentials {
  if (tls === null) return grpc.credentials.createInsecure();
  if (certificates)
    return grpc.experimental.createCertificateProviderChannelCredentials(certificates, certificates);
  return grpc.credentials.createSsl(tls.ca, tls.key, tls.cert);
}

/** Channel options that belong to the credentials. */
export function channelOptions({ tls }: Security): grpc.ChannelOptions {
  if (tls === null) return {};
  return { 'grpc.ssl_target_name_override': CERTIFICATE_NAME, 'grpc.default_authority': CERTIFICATE_NAME };
}

/**
 * Callers must present a certificate of the same authority, unless `asksCertificate` is false and they authenticate
 * otherwise.
 */
export function serverCredentials(
  { tls, certificates }: Security,
  asksCertificate = true,
): grpc.ServerCredentials {
  if (tls === null) return grpc.ServerCredentials.createInsecure();
  if (certificates) {
    // First the own certificate, then the authority: gRPC names these parameters the other way round (1.14).
    const authority = asksCertificate ? certificates : null;
    return grpc.experimental.createCertificateProviderServerCredentials(
      certificates,
      authority,
      asksCertificate,
    );
  }
  const own = [{ cert_chain: tls.cert, private_key: tls.key }];
  return grpc.ServerCredentials.createSsl(tls.ca, own, asksCertificate);
}

const AUTHORIZATION = 'authorization';

/** Metadata of every call. */
export function callMetadata({ token }: Security): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (token !== null) metadata.set(AUTHORIZATION, `Bearer ${token}`);
  return metadata;
}

/** Whether a call presents the required token. */
export function isAuthorized({ token, otherTokens = [] }: Security, metadata: grpc.Metadata): boolean {
  if (token === null) return true;
  const [shown] = metadata.get(AUTHORIZATION);
  if (typeof shown !== 'string') return false;
  const same = [token, ...otherTokens].map((each) => isSame(shown, `Bearer ${each}`));
  return same.includes(true);
}

/** Compares in constant time. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

const LOOPBACK = /^(127\.|localhost$|\[?::1\]?$)/;

/**
 * A warning, or null. @throws UserError for a host that other machines can reach without TLS, unless that is allowed.
 */
export function checkExposure(host: string, { tls, isInsecure = false }: Security): string | null {
  if (tls !== null || LOOPBACK.test(host)) return null;
  if (isInsecure) {
    return `${INSECURE_KEY}=1: serving on ${host} without TLS; whoever reaches it can run programs here`;
  }
  throw new UserError(
    `Serving on ${host} needs TLS: set ${TLS_CA_KEY}, ${TLS_CERT_KEY} and ${TLS_KEY_KEY}, or serve on 127.0.0.1 ` +
      `(${INSECURE_KEY}=1 allows it without TLS, where a network policy keeps others out).`,
  );
}
