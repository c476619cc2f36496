/**
 * How a process authenticates to a NATS server. Secrets are named by file, read again at every connection so that they
 * can be changed in place, and never printed.
 *
 *   BALLAST_NATS_USER, BALLAST_NATS_PASSWORD_FILE           a user of the server's configuration
 *   BALLAST_NATS_CREDS_FILE                                 JWT and seed, as `nsc` writes them
 *   BALLAST_NATS_NKEY_FILE                                  the seed of an nkey
 *   BALLAST_NATS_TOKEN_FILE                                 a token
 *   BALLAST_NATS_CA, BALLAST_NATS_CERT, BALLAST_NATS_KEY    TLS: the authority; an own certificate, if it wants one
 *   BALLAST_NATS_INBOX_PREFIX                               where answers come, if this user may not hear `_INBOX.>`
 */

import { readFileSync } from 'node:fs';
import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import type { Authenticator, ConnectionOptions } from 'nats';
import { toError, UserError } from '../../common/errors.ts';
import { readPrivateFile } from '../../common/private-file.ts';

export interface NatsTlsFiles {
  /** Certificate authorities to trust; the system's by default. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

export interface NatsSecrets {
  readonly user?: string;
  /** Path of a file that holds the user's password. */
  readonly passwordFile?: string;
  /** Path of a credentials file (JWT and seed), as `nsc` writes it. */
  readonly credentialsFile?: string;
  /** Path of a file that holds an nkey's seed. */
  readonly nkeyFile?: string;
  /** Path of a file that holds a token. */
  readonly tokenFile?: string;
  /** PEM files. When they are given, or with `tls://`, the connection must be encrypted. */
  readonly tls?: NatsTlsFiles;
  /** Prefix of the subjects of answers, `_INBOX` by default. */
  readonly inboxPrefix?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The secrets that the environment names. @throws UserError for half of a pair. */
export function natsSecrets(environment: Environment): NatsSecrets {
  const get = (name: string) => environment[`BALLAST_NATS_${name}`] || undefined;
  const user = get('USER');
  const passwordFile = get('PASSWORD_FILE');
  const [caFile, certFile, keyFile] = [get('CA'), get('CERT'), get('KEY')];
  both('BALLAST_NATS_USER', user, 'BALLAST_NATS_PASSWORD_FILE', passwordFile);
  both('BALLAST_NATS_CERT', certFile, 'BALLAST_NATS_KEY', keyFile);
  const tls = given({ caFile, certFile, keyFile });
  return {
    ...given({ user, passwordFile, inboxPrefix: get('INBOX_PREFIX') }),
    ...given({
      credentialsFile: get('CREDS_FILE'),
      nkeyFile: get('NKEY_FILE'),
      tokenFile: get('TOKEN_FILE'),
    }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}

function both(first: string, one: string | undefined, second: string, other: string | undefined): void {
  if ((one === undefined) === (other === undefined)) return;
  const [there, missing] = one === undefined ? [second, first] : [first, second];
  throw new UserError(`${there} is set, but not ${missing}; it needs both.`);
}

/** The record without undefined values. */
function given<Fields extends Record<string, string | undefined>>(
  fields: Fields,
): { [Name in keyof Fields]?: string } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [Name in keyof Fields]?: string };
}

/**
 * The secrets as the client library takes them; each file is read once now, so that a missing one is reported at once.
 * @throws UserError naming the file.
 */
export function secretOptions(secrets: NatsSecrets): Partial<ConnectionOptions> {
  const { user, passwordFile, credentialsFile, nkeyFile, tokenFile, tls, inboxPrefix } = secrets;
  for (const file of [tls?.caFile, tls?.certFile]) if (file !== undefined) read(file, 'TLS', false);
  if (tls?.keyFile !== undefined) read(tls.keyFile, 'TLS key', true);
  const authenticators: Authenticator[] = [];
  const add = (file: string | undefined, what: string, make: (text: () => string) => Authenticator) => {
    if (file === undefined) return;
    const text = () => read(file, what, true).toString('utf8').trim();
    text();
    authenticators.push(make(text));
  };
  add(credentialsFile, 'credentials', (text) => credsAuthenticator(() => Buffer.from(`${text()}\n`))); // the client expects the newline
  add(nkeyFile, 'nkey', (text) => nkeyAuthenticator(() => Buffer.from(text())));
  add(tokenFile, 'token', tokenAuthenticator);
  add(passwordFile, 'password', (text) => usernamePasswordAuthenticator(user ?? '', text));
  return {
    ...(authenticators.length === 0 ? {} : { authenticator: authenticators }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  };
}

/** `isSecret`: nobody else may be able to read the file. */
function read(path: string, what: string, isSecret: boolean): Buffer {
  try {
    return isSecret ? readPrivateFile(path) : readFileSync(path);
  } catch (thrown) {
    throw new UserError(`Cannot read the NATS ${what} file ${path}: ${toError(thrown).message}`, {
      cause: thrown,
    });
  }
}
