/** Files of the secrets of a release: those that are in it, and those that cert-manager would make, made with openssl. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KubeObject, RELEASE } from './objects.ts';

interface CertificateSpec {
  readonly secretName: string;
  readonly commonName: string;
  readonly isCA?: boolean;
  readonly dnsNames?: readonly string[];
  readonly usages?: readonly string[];
}

const EXTENDED: Readonly<Record<string, string>> = {
  'server auth': 'serverAuth',
  'client auth': 'clientAuth',
};
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/**
 * Files by secret. NATS's certificate also names `localhost`: what is a service of the cluster is reached by that name here.
 */
export function secretFiles(objects: readonly KubeObject[], folder: string): Secrets {
  const made = givenSecrets(objects);
  const certificates = objects
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => spec as CertificateSpec);
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const authority = made[AUTHORITY];
  if (authority !== undefined) {
    writeFileSync(join(folder, 'ca.crt'), authority['tls.crt']!);
    writeFileSync(join(folder, 'ca.key'), authority['tls.key']!);
    return { ...made, [NATS]: sign({ secretName: NATS, commonName: 'nats' }, folder, openssl) };
  }
  const own = certificates.find(({ isCA }) => isCA === true);
  if (own === undefined) return made;
  const subject = ['-subj', `/CN=${own.commonName}`, '-days', '2'];
  openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.crt', ...subject);
  const signed = certificates
    .filter(({ isCA }) => isCA !== true)
    .map((spec) => [spec.secretName, sign(spec, folder, openssl)] as const);
  return { ...made, ...Object.fromEntries(signed) };
}

type Files = Readonly<Record<string, string>>;
export type Secrets = Readonly<Record<string, Files>>;

const AUTHORITY = `${RELEASE}-authority-tls`;
const NATS = `${RELEASE}-nats-tls`;

/** The Secrets that the manifests themselves contain. */
export function givenSecrets(objects: readonly KubeObject[]): Secrets {
  const decoded = (data: Files) =>
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()] as const);
  return Object.fromEntries(
    objects
      .filter(({ kind }) => kind === 'Secret')
      .map(({ metadata, data = {}, stringData = {} }) => [
        metadata.name,
        { ...Object.fromEntries(decoded(data as Files)), ...(stringData as Files) },
      ]),
  );
}

export interface Issued {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** An authority of its own, and a certificate of it for both ends, as the files ca.crt, tls.crt and tls.key of a folder. */
export function issueCertificate(folder: string, name: string): Issued {
  mkdirSync(folder, { recursive: true });
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', `/CN=${name}-authority`);
  sign({ secretName: 'tls', commonName: name, dnsNames: [name] }, folder, openssl);
  const [authority, certificate, key] = ['ca.crt', 'tls.crt', 'tls.key'].map((file) => join(folder, file));
  return { authority: authority!, certificate: certificate!, key: key! };
}

function sign(
  { secretName, commonName, dnsNames = [], usages = ['server auth', 'client auth'] }: CertificateSpec,
  folder: string,
  openssl: (...args: readonly string[]) => unknown,
): Files {
  const names = [...dnsNames, ...(secretName === NATS ? ['localhost'] : [])].map((name) => `DNS:${name}`);
  const extended = usages.flatMap((usage) => EXTENDED[usage] ?? []);
  writeFileSync(
    join(folder, 'extensions'),
    `subjectAltName=${names.join(',')}\nextendedKeyUsage=${extended.join(',')}\n`,
  );
  const request = ['-keyout', `${secretName}.key`, '-out', 'request', '-subj', `/CN=${commonName}`];
  openssl('req', ...KEY, ...request);
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions'];
  openssl('x509', '-req', '-in', 'request', '-days', '2', ...signed, '-out', `${secretName}.crt`);
  const text = (file: string) => readFileSync(join(folder, file), 'utf8');
  return {
    'ca.crt': text('ca.crt'),
    'tls.crt': text(`${secretName}.crt`),
    'tls.key': text(`${secretName}.key`),
  };
}
