/** Access control: the scope that each method needs, and the tokens that callers show. */
import {
  type ApiToken,
  type ApiTokens,
  allows,
  bearerToken,
  hasExpired,
  type Scope,
} from '../../common/tokens.ts';
import { RateLimiter } from '../../common/token-bucket.ts';
import { ApiError } from './errors.ts';

/** The scope of each method, as coordinator.proto says it. */
export const METHOD_SCOPES: Readonly<Record<string, Scope>> = {
  createRun: 'submit',
  getRun: 'read',
  listRuns: 'read',
  watchRun: 'read',
  cancelRun: 'submit',
  resumeRun: 'submit',
  deleteRun: 'admin',
  getModel: 'read',
  getPredictions: 'read',
  getEpoch: 'read',
  listImages: 'read',
  getImages: 'read',
  synthesize: 'submit',
  listActors: 'read',
  listNodes: 'read',
};

/** Lets calls in by the tokens of a file. */
export class Gate {
  readonly #tokens: ApiTokens;
  readonly #limiter = new RateLimiter();
  readonly #onLimited: (token: string) => void;

  constructor(tokens: ApiTokens, onLimited: (token: string) => void) {
    this.#tokens = tokens;
    this.#onLimited = onLimited;
  }

  /** @throws ApiError UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED */
  admit(method: string, authorization: unknown): ApiToken {
    const shown = bearerToken(authorization);
    const token = shown === null ? null : this.#tokens.find(shown);
    if (token === null) throw unauthenticated(shown !== null);
    if (hasExpired(token, Date.now())) throw expired(token.name);
    const scope = METHOD_SCOPES[method] ?? 'admin';
    if (!allows(token, scope)) throw forbidden(token.name, scope);
    const waitMs = this.#limiter.take(token.name, token.limit, performance.now());
    if (waitMs === 0) return token;
    this.#onLimited(token.name);
    throw tooFast(token.name, waitMs);
  }
}

function unauthenticated(wasShown: boolean): ApiError {
  return new ApiError({
    code: 'UNAUTHENTICATED',
    reason: wasShown ? 'TOKEN_UNKNOWN' : 'TOKEN_MISSING',
    message: wasShown
      ? 'this token is not known here'
      : "this server wants a token, in the metadata 'authorization: Bearer TOKEN'",
  });
}

function expired(token: string): ApiError {
  return new ApiError({
    code: 'UNAUTHENTICATED',
    reason: 'TOKEN_EXPIRED',
    message: `the token '${token}' has expired; ask for a new one`,
    metadata: { token },
  });
}

function forbidden(token: string, scope: Scope): ApiError {
  return new ApiError({
    code: 'PERMISSION_DENIED',
    reason: 'SCOPE_MISSING',
    message: `the token '${token}' lacks the scope '${scope}'`,
    metadata: { token, scope },
  });
}

function tooFast(token: string, retryAfterMs: number): ApiError {
  return new ApiError({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'RATE_LIMITED',
    message: `the token '${token}' calls too often; try again in ${(retryAfterMs / 1000).toFixed(1)} s`,
    metadata: { token },
    retryAfterMs: Math.ceil(retryAfterMs),
  });
}
