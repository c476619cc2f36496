/**
 * The tokens that a public API accepts, from a file: JSON or YAML, a list of names with their permissions.
 *
 *   tokens:
 *     - name: ci                    # in logs and metrics
 *       sha256: 4bf6…               # hex digest of the token, as `ballast token new` prints it
 *       scopes: [submit]            # read; submit, which includes read; admin, which includes both
 *       ratePerSecond: 5            # optional, with burst: rate limit of its calls
 *       burst: 20
 *       expires: 2027-01-31T00:00:00Z   # optional; refused from then on
 *     - name: dashboard
 *       tokenFile: dashboard.token  # instead of sha256: a file that holds the token
 *       scopes: [read]
 *
 * The file never holds a token itself. Files that everybody on the machine can read or change are refused. The file is
 * reread when it changes, so tokens can be revoked in a running process; while it is unreadable or invalid, the last
 * valid list stays in force, and the error is reported once.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { type Document, parseDocument } from 'yaml';
import { z } from 'zod';
import { toError, UserError } from './errors.ts';
import { versionOf } from './files.ts';
import { readPrivateFile } from './private-file.ts';
import type { RateLimit } from './token-bucket.ts';

export const SCOPES = ['read', 'submit', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Each scope with those that it includes. */
const INCLUDES: Readonly<Record<Scope, readonly Scope[]>> = {
  read: ['read'],
  submit: ['read', 'submit'],
  admin: ['read', 'submit', 'admin'],
};

export interface ApiToken {
  readonly name: string;
  /** Its scopes, including implied ones. */
  readonly scopes: ReadonlySet<Scope>;
  /** Null: no rate limit. */
  readonly limit: RateLimit | null;
  /** Expiry, milliseconds since 1970; null for never. */
  readonly expiresMs: number | null;
}

const TOKEN_PREFIX = 'blt_';
const TOKEN_BYTES = 32;
const MAX_FILE_BYTES = 2 ** 20;
const MAX_TOKENS = 10_000;
const CHECK_EVERY_MS = 1000;

export const TOKEN_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

const entrySchema = z
  .strictObject({
    name: z.string().regex(TOKEN_NAME, "must be 1 to 63 letters, digits, '-', '_' or '.'"),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits')
      .optional(),
    tokenFile: z.string().min(1).optional(),
    scopes: z.array(z.enum(SCOPES)).min(1),
    ratePerSecond: z.number().positive().optional(),
    burst: z.number().min(1).optional(),
    expires: z.iso
      .datetime({ offset: true, message: 'must be a time with its zone, as 2027-01-31T00:00:00Z' })
      .optional(),
  })
  .refine(({ sha256, tokenFile }) => (sha256 === undefined) !== (tokenFile === undefined), {
    message: 'needs either sha256 or tokenFile',
  })
  .refine(({ ratePerSecond, burst }) => burst === undefined || ratePerSecond !== undefined, {
    message: 'has burst without ratePerSecond',
  });
const fileSchema = z.strictObject({ tokens: z.array(entrySchema).max(MAX_TOKENS) });

interface KnownToken extends ApiToken {
  readonly digest: Buffer;
}

/** Whether a token grants `scope`. */
export function allows(token: ApiToken, scope: Scope): boolean {
  return token.scopes.has(scope);
}

/** Whether a token has expired, `nowMs` since 1970. */
export function hasExpired({ expiresMs }: ApiToken, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs;
}

/** A new random token, and its digest for a tokens file. */
export function newToken(): { readonly token: string; readonly sha256: string } {
  const token = TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, sha256: digestOf(token).toString('hex') };
}

/** The token in `authorization: Bearer TOKEN`; null for anything else. */
export function bearerToken(authorization: unknown): string | null {
  if (typeof authorization !== 'string') return null;
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? null;
}

export interface ApiTokensOptions {
  /** Called when the file becomes unreadable or invalid, once for each change. */
  readonly onProblem?: (problem: Error) => void;
  /** Milliseconds on any monotonic clock. */
  readonly now?: () => number;
}

/** The tokens of a file, in their present state. */
export class ApiTokens {
  readonly #path: string;
  readonly #options: ApiTokensOptions;
  #known: readonly KnownToken[];
  #files: readonly string[];
  #version: string;
  #checkedMs: number;

  private constructor(path: string, options: ApiTokensOptions) {
    this.#path = path;
    this.#options = options;
    const { known, files } = readTokens(path);
    this.#known = known;
    this.#files = files;
    this.#version = versionOf(files);
    this.#checkedMs = this.#now();
  }

  /** Reads the file. @throws UserError that names the file and the problem. */
  static open(path: string, options: ApiTokensOptions = {}): ApiTokens {
    return new ApiTokens(path, options);
  }

  /** Names of all tokens. */
  get names(): readonly string[] {
    this.#refresh();
    return this.#known.map(({ name }) => name);
  }

  /**
   * The permissions of a token; null for an unknown one. The duration does not depend on the token's position in the
   * file.
   */
  find(token: string): ApiToken | null {
    this.#refresh();
    const digest = digestOf(token);
    let found: ApiToken | null = null;
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known;
    return found;
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  #refresh(): void {
    const nowMs = this.#now();
    if (nowMs - this.#checkedMs < CHECK_EVERY_MS) return;
    this.#checkedMs = nowMs;
    const version = versionOf(this.#files);
    if (version === this.#version) return;
    this.#version = version;
    try {
      const { known, files } = readTokens(this.#path);
      this.#known = known;
      this.#files = files;
      this.#version = versionOf(files);
    } catch (thrown) {
      this.#options.onProblem?.(toError(thrown));
    }
  }
}

function readTokens(path: string): { known: KnownToken[]; files: string[] } {
  const files = [path];
  const known = parseTokens(readPrivateFile(path, MAX_FILE_BYTES).toString('utf8'), path).map(
    (entry): KnownToken => {
      const { name, sha256, tokenFile, scopes, ratePerSecond, burst, expires } = entry;
      let digest: Buffer;
      if (sha256 !== undefined) {
        digest = Buffer.from(sha256, 'hex');
      } else {
        const file = resolve(dirname(path), tokenFile!);
        files.push(file);
        digest = digestOf(tokenIn(file));
      }
      const limit =
        ratePerSecond === undefined ? null : { ratePerSecond, burst: burst ?? Math.max(1, ratePerSecond) };
      const expiresMs = expires === undefined ? null : Date.parse(expires);
      return { name, digest, limit, expiresMs, scopes: new Set(scopes.flatMap((scope) => INCLUDES[scope])) };
    },
  );
  refuseTwice(path, 'name', (token) => token.name, known);
  refuseTwice(path, 'token', (token) => token.digest.toString('hex'), known);
  return { known, files };
}

function tokenIn(file: string): string {
  const token = readPrivateFile(file).toString('utf8').trim();
  if (token === '' || /\s/.test(token))
    throw new UserError(`${file}: it must hold one token and nothing else`);
  return token;
}

function parseTokens(text: string, path: string): z.output<typeof fileSchema>['tokens'] {
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  // The text that the parser or the schema found may be a token that was pasted here by mistake, so it is not repeated.
  if (document.errors.length > 0) throw new UserError(`${path}: it is neither valid YAML nor JSON`);
  const result = fileSchema.safeParse(valuesOf(document, path));
  if (result.success) return result.data.tokens;
  const [issue] = result.error.issues;
  const field = issue?.path.reduce<string>(
    (at, part) => at + (typeof part === 'number' ? `[${part}]` : `${at === '' ? '' : '.'}${String(part)}`),
    '',
  );
  throw new UserError(`${path}: ${field || 'the file'}: ${reasonOf(issue)}`);
}

/** @throws UserError for a document whose aliases expand to far more than its size. */
function valuesOf(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (thrown) {
    throw new UserError(`${path}: it uses too many aliases`, { cause: thrown });
  }
}

function reasonOf(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case 'custom':
    case 'invalid_format':
      return issue.message;
    case 'unrecognized_keys':
      return 'it has an unknown field; known are name, sha256, tokenFile, scopes, ratePerSecond, burst, expires';
    case 'invalid_value':
      return `it must be one of ${SCOPES.join(', ')}`;
    default:
      return 'it is missing, or of the wrong kind; expected is tokens: [{name, sha256, scopes: [read]}]';
  }
}

function refuseTwice(
  path: string,
  what: string,
  of: (token: KnownToken) => string,
  known: readonly KnownToken[],
): void {
  const seen = new Map<string, string>();
  for (const token of known) {
    const before = seen.get(of(token));
    if (before !== undefined)
      throw new UserError(`${path}: ${before} and ${token.name} have the same ${what}`);
    seen.set(of(token), token.name);
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
