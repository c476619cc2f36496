/** Access control of the page. A token is shown once, in the link that is printed or in a form, and is then
 * kept in a cookie that scripts cannot read and other sites cannot send. Requests for other host names (rebound DNS) and
 * writing requests from other origins are refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { RateLimiter } from '../../common/token-bucket.ts';
import { type ApiToken, type ApiTokens, bearerToken, hasExpired, type Scope } from '../../common/tokens.ts';
import { Refused } from './refused.ts';

const LOOPBACK_NAMES = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
/** The token of the page's own link. */
const OWN: Pick<ApiToken, 'name' | 'scopes' | 'limit'> = {
  name: '',
  scopes: new Set(['read', 'submit', 'admin']),
  limit: null,
};

export class PageGate {
  readonly #own: string | null;
  readonly #tokens: ApiTokens | null;
  readonly #limiter = new RateLimiter();
  #cookie = 'ballast';

  /** `own` may do everything; the tokens of the API what they may do there. */
  constructor(own: string | null, tokens: ApiTokens | null) {
    this.#own = own;
    this.#tokens = tokens;
  }

  /** Servers on other ports of the host have separate cookies. */
  usePort(port: number): void {
    this.#cookie = `ballast-${port}`;
  }

  /** The scopes of a token; null for a wrong or expired one. */
  scopesOf(token: string): ReadonlySet<Scope> | null {
    return this.#find(token)?.scopes ?? null;
  }

  #find(token: string): typeof OWN | null {
    if (this.#own !== null && equal(token, this.#own)) return OWN;
    const found = this.#tokens?.find(token) ?? null;
    return found === null || hasExpired(found, Date.now()) ? null : found;
  }

  /** The header that keeps a token. */
  cookieOf(token: string): string {
    return `${this.#cookie}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict`;
  }

  forgetCookie(): string {
    return `${this.#cookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`;
  }

  /** @throws Refused for a foreign host or origin */
  checkOrigin({ method, headers }: IncomingMessage): void {
    const host = headers.host ?? '';
    if (!LOOPBACK_NAMES.test(host)) throw new Refused(403, 'this page answers on localhost only');
    const site = headers['sec-fetch-site'];
    const { origin } = headers;
    const isForeign =
      (site !== undefined && site !== 'same-origin' && site !== 'none') ||
      (origin !== undefined && origin !== `http://${host}`);
    const isRead = method === 'GET' || method === 'HEAD';
    if (isForeign && !(isRead && headers['sec-fetch-mode'] === 'navigate'))
      throw new Refused(403, 'this request came from another site');
  }

  /** The scopes of a request. */
  scopes(request: IncomingMessage): ReadonlySet<Scope> | null {
    return this.#shown(request)?.scopes ?? null;
  }

  #shown({ headers }: IncomingMessage): typeof OWN | null {
    const token = bearerToken(headers.authorization) ?? this.#cookieIn(headers.cookie ?? '');
    return token === null ? null : this.#find(token);
  }

  /** Reading has no limit of rate: a page reads in bursts. @throws Refused when it may not */
  admit(request: IncomingMessage, scope: Scope): void {
    const token = this.#shown(request);
    if (token === null) throw new Refused(401, 'a token is needed');
    if (!token.scopes.has(scope))
      throw new Refused(403, `this token may not do that: it lacks the scope ${scope}`);
    const isLimited = scope !== 'read';
    if (isLimited && this.#limiter.take(token.name, token.limit, performance.now()) > 0)
      throw new Refused(429, 'this token acts too often; try again in a moment');
  }

  #cookieIn(cookies: string): string | null {
    for (const part of cookies.split(';')) {
      const [name, value] = part.trim().split('=');
      if (name === this.#cookie && value) return decoded(value);
    }
    return null;
  }
}

function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
