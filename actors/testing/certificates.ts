/** Creates certificate authorities and certificates for tests, with openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CERTIFICATE_NAME, TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY } from '../security/security.ts';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
/** Added to a test's name where it cannot run; empty where it can. */
export const noOpenssl = hasOpenssl ? '' : ' (skipped: no openssl on the PATH)';

const DAY_MS = 86_400_000;
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** The environment variables for one certificate. */
export type CertificateFiles = Readonly<
  Record<typeof TLS_CA_KEY | typeof TLS_CERT_KEY | typeof TLS_KEY_KEY, string>
>;

export interface Validity {
  /** Days from now, may be negative. */
  readonly fromDays?: number;
  readonly toDays?: number;
}

/** An authority that signs any number of certificates. */
export class Authority {
  readonly #folder: string;

  /** Creates it in a new folder inside `parent`. */
  constructor(parent: string) {
    this.#folder = mkdtempSync(join(parent, 'authority-'));
    this.#write('index', '');
    this.#write('serial', '01\n');
    this.#write('config', this.#config());
    const out = ['-keyout', this.#path('ca-key.pem'), '-out', this.#path('ca-request.pem')];
    openssl('req', ...NEW_KEY, '-subj', '/CN=test authority', ...out);
    this.#sign('ca', { fromDays: -10, toDays: 10 }, ['-selfsign', '-extensions', 'authority']);
  }

  get caFile(): string {
    return this.#path('ca.pem');
  }

  /** A certificate that carries the cluster's name, and `localhost` for a NATS server of the test. */
  issue(name: string, { fromDays = -1, toDays = 1 }: Validity = {}): CertificateFiles {
    const key = this.#path(`${name}-key.pem`);
    openssl(
      'req',
      ...NEW_KEY,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      key,
      '-out',
      this.#path(`${name}-request.pem`),
    );
    this.#sign(name, { fromDays, toDays }, []);
    return { [TLS_CA_KEY]: this.caFile, [TLS_CERT_KEY]: this.#path(`${name}.pem`), [TLS_KEY_KEY]: key };
  }

  #sign(name: string, { fromDays, toDays }: Required<Validity>, more: readonly string[]): void {
    const files = ['-in', this.#path(`${name}-request.pem`), '-out', this.#path(`${name}.pem`)];
    const window = ['-startdate', stamp(fromDays), '-enddate', stamp(toDays)];
    openssl('ca', '-batch', '-notext', '-config', this.#path('config'), ...files, ...window, ...more);
  }

  #config(): string {
    return [
      '[ca]\ndefault_ca = own',
      `[own]\ndatabase = ${this.#path('index')}\nserial = ${this.#path('serial')}`,
      `new_certs_dir = ${this.#folder}\ncertificate = ${this.caFile}\nprivate_key = ${this.#path('ca-key.pem')}`,
      'default_md = sha256\npolicy = any\nx509_extensions = leaf\nunique_subject = no',
      '[any]\ncommonName = supplied',
      '[authority]\nbasicConstraints = critical, CA:TRUE',
      `[leaf]\nsubjectAltName = DNS:${CERTIFICATE_NAME}, DNS:localhost\n`,
    ].join('\n');
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #write(name: string, content: string): void {
    writeFileSync(this.#path(name), content);
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** `YYYYMMDDHHMMSSZ`. */
function stamp(days: number): string {
  const iso = new Date(Date.now() + days * DAY_MS).toISOString();
  return `${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`;
}
