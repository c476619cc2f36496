/** Who may call what: the scope that each method needs, and the gate that looks at tokens. */

/** `submit` includes `read`; `admin` includes both. */
export type Scope = 'read' | 'submit' | 'admin';

/** Somebody who showed a good token. */
export interface Caller {
  /** The token's name, for logs and metrics. */
  readonly name: string;
  /** Whether it may do what needs this scope. */
  may(scope: Scope): boolean;
  /** Takes one call of its rate: 0, or the milliseconds after which one is free. */
  take(): number;
}

/** Knows tokens. */
export interface Gate {
  /** The token's owner; null for a token that nobody has. */
  admit(token: string): Promise<Caller | null> | Caller | null;
}

/** The scope of each method; those that are not listed need none that exists. */
export const METHOD_SCOPES: Readonly<Record<string, Scope>> = {
  createRun: 'submit',
  getRun: 'read',
  listRuns: 'read',
  watchRun: 'read',
  cancelRun: 'submit',
  resumeRun: 'submit',
  getModel: 'read',
  getEpoch: 'read',
  listImages: 'read',
  getImages: 'read',
  synthesize: 'submit',
  listActors: 'read',
  listNodes: 'read',
};

/** For servers without tokens: all may do all. */
export const ANYBODY: Caller = { name: 'anybody', may: () => true, take: () => 0 };
