/**
 * The coordinator that a command calls, and its credentials: `--server` or BALLAST_SERVER, a token in a file, TLS files
 * named by the environment. A token is never on a command line, where other users could see it.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { CERTIFICATE_NAME, TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY } from '../../actors/security/security.ts';
import { toError, UserError } from '../../common/errors.ts';
import { readPrivateFile } from '../../common/private-file.ts';
import { isAddress } from '../cluster/node-address.ts';

export const SERVER_KEY = 'BALLAST_SERVER';
export const API_TOKEN_KEY = 'BALLAST_API_TOKEN_FILE';

export interface ApiFlags {
  readonly server?: string;
  readonly tokenFile?: string;
}

export interface ApiTarget {
  /** host:port */
  readonly address: string;
  /** Null: plain text. */
  readonly tls: {
    readonly ca: Buffer;
    readonly own: { readonly cert: Buffer; readonly key: Buffer } | null;
  } | null;
  /** Null: none is shown. */
  readonly token: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UserError naming the flag or variable that is missing or cannot work. */
export function readApiTarget(flags: ApiFlags, environment: Environment, cwd: string): ApiTarget {
  return {
    address: readAddress(flags.server, environment),
    tls: readTls(environment),
    token: readToken(flags.tokenFile, environment, cwd),
  };
}

function readAddress(given: string | undefined, environment: Environment): string {
  const text = given ?? environment[SERVER_KEY] ?? '';
  if (text === '') throw new UserError(`which server? Give --server HOST:PORT, or set ${SERVER_KEY}`);
  const address = text.replace(/^grpc:\/\//, '');
  if (isAddress(address)) return address;
  throw new UserError(`${given === undefined ? SERVER_KEY : '--server'} ${text}: it must be HOST:PORT`);
}

function readToken(given: string | undefined, environment: Environment, cwd: string): string | null {
  const name = given === undefined ? API_TOKEN_KEY : '--token-file';
  const path = given ?? environment[API_TOKEN_KEY] ?? '';
  if (path === '') return null;
  const token = readSecret(name, resolve(cwd, path)).toString('utf8').trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UserError(`${name} ${path}: ${token === '' ? 'the file is empty' : 'the file holds no token'}`);
}

function readTls(environment: Environment): ApiTarget['tls'] {
  const read = (name: string) => (environment[name] ? readNamed(name, environment[name]) : null);
  const readKey = () => (environment[TLS_KEY_KEY] ? readSecret(TLS_KEY_KEY, environment[TLS_KEY_KEY]) : null);
  const [ca, cert, key] = [read(TLS_CA_KEY), read(TLS_CERT_KEY), readKey()];
  if (ca === null && cert === null && key === null) return null;
  if (ca === null)
    throw new UserError(`TLS needs ${TLS_CA_KEY}, the authority that signed the server's certificate`);
  if ((cert === null) !== (key === null))
    throw new UserError(`${TLS_CERT_KEY} and ${TLS_KEY_KEY} go together`);
  return { ca, own: cert === null || key === null ? null : { cert, key } };
}

/** A file that nobody else may read. */
function readSecret(name: string, path: string): Buffer {
  try {
    return readPrivateFile(path);
  } catch (thrown) {
    throw new UserError(`${name} ${toError(thrown).message}`, { cause: thrown });
  }
}

function readNamed(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (thrown) {
    throw new UserError(`${name} ${path}: cannot be read (${toError(thrown).message})`, { cause: thrown });
  }
}

export function credentialsOf({ tls }: ApiTarget): grpc.ChannelCredentials {
  if (tls === null) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(tls.ca, tls.own?.key ?? null, tls.own?.cert ?? null);
}

/** Certificates of a cluster all carry one name, whatever the address is. */
export function nameOptionsOf({ tls }: ApiTarget): grpc.ChannelOptions {
  if (tls === null) return {};
  return { 'grpc.ssl_target_name_override': CERTIFICATE_NAME, 'grpc.default_authority': CERTIFICATE_NAME };
}

export function metadataOf({ token }: ApiTarget): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}
