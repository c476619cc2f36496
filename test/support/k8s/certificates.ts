/** Does what cert-manager would do for the Certificates of a manifest, with openssl: the files of their secrets. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from './objects.ts';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

export interface CertificateSpec {
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
 * Files by secret: `ca.crt`, `tls.crt`, `tls.key`. `more` are further names of a certificate, by secret: what is a service of
 * the cluster is reached as `localhost` here.
 */
export function makeSecrets(
  objects: readonly KubeObject[],
  folder: string,
  more: Readonly<Record<string, readonly string[]>>,
): Record<string, Record<string, string>> {
  const specs = objects
    .filter(({ kind }) => kind === 'Certificate')
    .map(({ spec }) => spec as CertificateSpec);
  const path = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const authority = specs.find(({ isCA }) => isCA === true);
  if (authority === undefined) return {};
  const subject = ['-subj', `/CN=${authority.commonName}`, '-days', '2'];
  openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.crt', ...subject);
  return Object.fromEntries(
    specs
      .filter(({ isCA }) => isCA !== true)
      .map(({ secretName, commonName, dnsNames = [], usages = [] }) => {
        const names = [...dnsNames, ...(more[secretName] ?? [])].map((name) => `DNS:${name}`);
        const extended = usages.flatMap((usage) => EXTENDED[usage] ?? []);
        const extensions = `subjectAltName=${names.join(',')}\nextendedKeyUsage=${extended.join(',')}\n`;
        writeFileSync(path('extensions'), extensions);
        const request = ['-keyout', `${secretName}.key`, '-out', 'request', '-subj', `/CN=${commonName}`];
        openssl('req', ...KEY, ...request);
        const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions'];
        openssl('x509', '-req', '-in', 'request', '-days', '2', ...signed, '-out', `${secretName}.crt`);
        const files = { 'ca.crt': 'ca.crt', 'tls.crt': `${secretName}.crt`, 'tls.key': `${secretName}.key` };
        return [
          secretName,
          Object.fromEntries(
            Object.entries(files).map(([key, file]) => [key, readFileSync(path(file), 'utf8')]),
          ),
        ];
      }),
  );
}
