/** The controller's client of the coordinator; it reports refusals as problems for an object's status. */
import { CallError } from '../actors/base/call-errors.ts';
import type { StatusName } from '../actors/base/status-codes.ts';
import type { Calls } from '../actors/proto/protos.ts';
import { plainText } from '../common/plain-text.ts';
import type { CoordinatorServiceClient } from '../gen/ballast/v1/CoordinatorService.ts';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import type { Problem } from './status.ts';
import { belongsTo, createRequestOf, runNameOf, type SynthesisRun } from './synthesis-run.ts';

export type RunApi = Calls<CoordinatorServiceClient>;

/** CancelRun returns when the run has stopped, which may take one sampler step. */
const DEADLINE_MS = 60_000;

export class RunClient {
  readonly #api: RunApi;
  readonly #options: { readonly deadlineMs: number; readonly signal: AbortSignal };

  /** `signal` cancels calls in progress. */
  constructor(api: RunApi, signal: AbortSignal) {
    this.#api = api;
    this.#options = { deadlineMs: DEADLINE_MS, signal };
  }

  /** The object's run; null if there is none. @throws CallError */
  async find(object: SynthesisRun): Promise<Run__Output | null> {
    try {
      const run = await this.#api.getRun({ name: runNameOf(object) }, this.#options);
      return belongsTo(run, object) ? run : null;
    } catch (thrown) {
      if (thrown instanceof CallError && thrown.code === 'NOT_FOUND') return null;
      throw thrown;
    }
  }

  /** @throws CallError */
  async create(object: SynthesisRun): Promise<void> {
    await this.#api.createRun(createRequestOf(object), this.#options);
  }

  /** @throws CallError */
  async cancel(object: SynthesisRun): Promise<void> {
    await this.#api.cancelRun({ name: runNameOf(object) }, this.#options);
  }

  /**
   * The request id belongs to one version of the object: repeated, it does not resume the run a second time. @throws
   * CallError
   */
  async resume(object: SynthesisRun): Promise<void> {
    const { uid, generation } = object.metadata;
    const request = { name: runNameOf(object), requestId: `synthesisrun/${uid}/${generation}` };
    await this.#api.resumeRun(request, this.#options);
  }
}

const FINAL: Partial<Record<StatusName, string>> = {
  INVALID_ARGUMENT: 'ConfigInvalid',
  ALREADY_EXISTS: 'RunIdTaken',
};

const PASSING: Partial<Record<StatusName, string>> = {
  UNAVAILABLE: 'CoordinatorUnavailable',
  DEADLINE_EXCEEDED: 'CoordinatorUnavailable',
  UNAUTHENTICATED: 'TokenRefused',
  PERMISSION_DENIED: 'TokenRefused',
};

/** Null if it is not a failed call. */
export function problemOf(thrown: unknown): Problem | null {
  if (!(thrown instanceof CallError)) return null;
  const final = FINAL[thrown.code];
  const message = plainText(thrown.message);
  if (final !== undefined) return { reason: final, message, isFinal: true };
  return { reason: PASSING[thrown.code] ?? 'CoordinatorFailed', message, isFinal: false };
}
