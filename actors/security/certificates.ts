/**
 * Checks a process's own certificate before it is used, because TLS would report a problem later, to its peers, and
 * obscurely.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { toError, UserError } from '../../common/errors.ts';

export interface NamedFile {
  /** Variable and path, for messages. */
  readonly where: string;
  readonly pem: Buffer;
}

export interface OwnCertificate {
  readonly ca: NamedFile;
  readonly cert: NamedFile;
  readonly key: NamedFile;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * @throws UserError, one line, for invalid files, a key of another certificate, or a certificate outside its validity.
 */
export function checkOwnCertificate({ ca, cert, key }: OwnCertificate, nowMs: number): void {
  const chain = certificatesIn(cert);
  for (const certificate of chain) {
    const problem = outOfTime(certificate, nowMs);
    if (problem !== null) throw new UserError(`${cert.where}: the certificate ${problem}.`);
  }
  const problems = certificatesIn(ca).map((authority) => outOfTime(authority, nowMs));
  if (!problems.includes(null))
    throw new UserError(`${ca.where}: the authority's certificate ${problems[0]}.`);
  if (!chain[0]!.checkPrivateKey(privateKeyIn(key))) {
    throw new UserError(`${key.where}: it is not the key of the certificate in ${cert.where}.`);
  }
}

function certificatesIn({ where, pem }: NamedFile): X509Certificate[] {
  try {
    const found = [...pem.toString('latin1').matchAll(PEM_CERTIFICATE)];
    if (found.length === 0) throw new Error('it has no BEGIN CERTIFICATE');
    return found.map(([text]) => new X509Certificate(text));
  } catch (thrown) {
    throw new UserError(`${where}: it holds no PEM certificate (${toError(thrown).message}).`, {
      cause: thrown,
    });
  }
}

function privateKeyIn({ where, pem }: NamedFile) {
  try {
    return createPrivateKey(pem);
  } catch (thrown) {
    throw new UserError(`${where}: it holds no PEM key that can be read without a password.`, {
      cause: thrown,
    });
  }
}

/** Null for a certificate that is valid now. */
function outOfTime({ validFrom, validTo }: X509Certificate, nowMs: number): string | null {
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  if (nowMs > toMs) return `expired on ${new Date(toMs).toISOString()}: issue a new one`;
  if (nowMs < fromMs)
    return `is not valid before ${new Date(fromMs).toISOString()}: check this machine's clock`;
  return null;
}
