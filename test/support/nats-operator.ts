/** A NATS operator with one account and one user, as `nsc` makes them: signed JWTs (docs.nats.io, "JWTs"). */
import { nkeys } from 'nats';

interface KeyPair {
  getPublicKey(): string;
  getSeed(): Uint8Array;
  sign(input: Uint8Array): Uint8Array;
}

/** The package passes them on without their types. */
const make = nkeys as Record<'createOperator' | 'createAccount' | 'createUser', () => KeyPair>;

export interface OperatorMode {
  /** The server's configuration. */
  readonly config: string;
  /** A credentials file: the user's JWT and seed. */
  readonly credentials: string;
  /** Seed of an nkey, and the configuration of a server that knows it. */
  readonly nkeySeed: string;
  readonly nkeyConfig: string;
}

export function operatorMode(): OperatorMode {
  const [operator, account, user] = [make.createOperator(), make.createAccount(), make.createUser()];
  const operatorJwt = sign(operator, operator, 'test-operator', { type: 'operator' });
  const limits = { conn: -1, subs: -1, data: -1, payload: -1, imports: -1, exports: -1, leaf: -1 };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = sign(operator, account, 'test', { type: 'account', limits: { ...limits, ...storage } });
  const system = make.createAccount();
  const systemJwt = sign(operator, system, 'system', { type: 'account', limits });
  const userJwt = sign(account, user, 'node', { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = text(user.getSeed());
  return {
    config: [
      `operator: ${operatorJwt}`,
      'resolver: MEMORY',
      `system_account: ${system.getPublicKey()}`,
      `resolver_preload: {`,
      `  ${system.getPublicKey()}: ${systemJwt}`,
      `  ${account.getPublicKey()}: ${accountJwt}\n}\n`,
    ].join('\n'),
    credentials: [
      `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n`,
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    ].join('\n'),
    nkeySeed: seed,
    nkeyConfig: `authorization: { users: [ { nkey: ${user.getPublicKey()} } ] }\n`,
  };
}

function sign(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const claims = {
    ...{ jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000), name },
    ...{ iss: issuer.getPublicKey(), sub: subject.getPublicKey(), nats: { ...nats, version: 2 } },
  };
  const body = [{ typ: 'JWT', alg: 'ed25519-nkey' }, claims]
    .map((part) => base64(JSON.stringify(part)))
    .join('.');
  return `${body}.${base64(issuer.sign(Buffer.from(body)))}`;
}

function base64(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url');
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
