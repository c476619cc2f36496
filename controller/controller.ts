/**
 * Keeps runs as SynthesisRun objects describe them, and the objects' status up to date. It stores nothing: its actions
 * follow from the present object and run, and every step can be repeated, so it may be killed at any moment, and two
 * controllers do not conflict.
 */
import { isDeepStrictEqual } from 'node:util';
import { plainText } from '../common/plain-text.ts';
import { toError } from '../common/errors.ts';
import type { Log } from '../common/log.ts';
import type { Run__Output } from '../gen/ballast/v1/Run.ts';
import { ConflictError, type ObjectStore, type ObjectWatch } from './object-store.ts';
import type { ControllerMetrics } from './metrics.ts';
import { isGoingOn, nextStep, type Step, wasMade } from './next-step.ts';
import { problemOf, type RunApi, RunClient } from './run-client.ts';
import { eventsOf } from './run-events.ts';
import { RunWatches } from './run-watches.ts';
import { type Problem, statusOf } from './status.ts';
import { FINALISER, type Status, type SynthesisRun } from './synthesis-run.ts';
import { WorkQueue } from './work-queue.ts';

export interface ControllerOptions {
  readonly api: RunApi;
  readonly objects: ObjectStore;
  readonly log: Log;
  readonly metrics: ControllerMetrics;
  /** Called when objects become visible, and when they cannot be listed. */
  readonly onReady: (isReady: boolean) => void;
}

const AT_ONCE = 8;
/**
 * Maximum interval between two looks at an object: a run may be resumed or deleted without notice to the controller.
 */
const LOOK_EVERY_MS = 60_000;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #stop = new AbortController();
  readonly #client: RunClient;
  readonly #queue: WorkQueue;
  readonly #runs: RunWatches;
  readonly #objects: ObjectWatch;
  readonly #timer: NodeJS.Timeout;
  #toldProblem: string | null = null;

  /** Starts at once. */
  constructor(options: ControllerOptions) {
    const { api, objects, log, metrics } = options;
    this.#options = options;
    this.#client = new RunClient(api, this.#stop.signal);
    this.#queue = new WorkQueue({
      atOnce: AT_ONCE,
      work: (name) => this.#timed(() => this.#look(name).catch((thrown) => this.#lookAgain(name, thrown))),
      onFailure: (name, thrown, attempt) => {
        if (problemOf(thrown)?.isFinal !== true) metrics.lookFailed(); // a refusal is its user's matter
        const problem = plainText(toError(thrown).message);
        if (attempt === 1 && !this.#stop.signal.aborted)
          log.warn('an object could not be processed; trying again', { object: name, problem });
      },
    });
    this.#runs = new RunWatches(api, (name) => this.#queue.add(name));
    this.#objects = objects.watch({
      onChange: (name) => this.#queue.add(name),
      onConnection: (problem) => this.#hearConnection(problem),
    });
    metrics.watch(() => this.#objects.list().map(({ phase }) => phase));
    this.#timer = setInterval(() => {
      for (const { name } of this.#objects.list()) this.#queue.add(name);
    }, LOOK_EVERY_MS);
  }

  /** Resolves when it has stopped. Runs continue. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort(new Error('the controller ends'));
    await this.#objects.stop();
    this.#runs.close();
    await this.#queue.close();
  }

  #hearConnection(problem: string | null): void {
    const { log, onReady } = this.#options;
    if (problem !== null && problem !== this.#toldProblem)
      log.warn('objects cannot be listed; trying again', { problem });
    if (problem === null && this.#toldProblem !== null) log.info('objects are listed again');
    this.#toldProblem = problem;
    onReady(problem === null);
  }

  async #timed(look: () => Promise<void>): Promise<void> {
    const startMs = performance.now();
    try {
      await look();
    } finally {
      this.#options.metrics.looked((performance.now() - startMs) / 1000);
    }
  }

  /** An object that changed under the look at it is looked at anew. @throws `thrown` otherwise */
  #lookAgain(name: string, thrown: unknown): void {
    if (!(thrown instanceof ConflictError)) throw thrown;
    this.#queue.add(name);
  }

  /** Advances one object by one step. */
  async #look(name: string): Promise<void> {
    const { objects, log, metrics } = this.#options;
    const found = await objects.get(name);
    if (found === null || isOver(found)) return this.#runs.leave(name);
    const run = await this.#orTell(found, (client) => client.find(found));
    const object = await this.#tell(found, run, null);
    if (object === null) return this.#runs.leave(name);
    const step = nextStep(object, run);
    if (step === 'settled') {
      if (run !== null && isGoingOn(run)) this.#runs.follow(name, run.name);
      else this.#runs.leave(name);
      return;
    }
    await this.#do(step, object);
    metrics.stepTaken(step);
    log.info('object served', { object: name, step });
    this.#queue.add(name);
  }

  async #do(step: Exclude<Step, 'settled'>, object: SynthesisRun): Promise<void> {
    const { objects } = this.#options;
    switch (step) {
      case 'hold':
      case 'release':
        return objects.writeHold(object, step === 'hold');
      case 'create':
        return this.#orTell(object, (client) => client.create(object));
      case 'cancel':
        return this.#orTell(object, (client) => client.cancel(object));
      case 'resume':
        return this.#orTell(object, (client) => client.resume(object));
      default:
        return step satisfies never;
    }
  }

  /**
   * Calls the coordinator. The reason for a missing run is written to the object's status. @throws the error of the
   * call
   */
  async #orTell<Value>(object: SynthesisRun, ask: (client: RunClient) => Promise<Value>): Promise<Value> {
    try {
      return await ask(this.#client);
    } catch (thrown) {
      const problem = problemOf(thrown);
      if (problem !== null && !wasMade(object)) await this.#tell(object, null, problem);
      throw thrown;
    }
  }

  /** Writes the object's status if it has changed. Resolves to the newest version of the object; null if it is gone. */
  async #tell(
    object: SynthesisRun,
    run: Run__Output | null,
    problem: Problem | null,
  ): Promise<SynthesisRun | null> {
    const { objects, log } = this.#options;
    const status = statusOf(object, run, problem, new Date().toISOString());
    if (isTold(object, status)) return object;
    const written = await objects.writeStatus(object, status);
    for (const event of eventsOf(object, status))
      await objects.writeEvent(object, event).catch((thrown: unknown) => {
        const why = plainText(toError(thrown).message);
        log.warn('an event could not be written', {
          object: object.metadata.name,
          reason: event.reason,
          problem: why,
        });
      });
    return written;
  }
}

/** Nothing can change any more. */
function isOver({ metadata, status }: SynthesisRun): boolean {
  const isHeld = metadata.finalizers?.includes(FINALISER) ?? false;
  return !isHeld && (metadata.deletionTimestamp !== undefined || status?.phase === 'Succeeded');
}

/** Whether the object's status is up to date. */
function isTold({ status }: SynthesisRun, now: Status): boolean {
  return isDeepStrictEqual(status ?? {}, JSON.parse(JSON.stringify(now, withoutNulls)));
}

function withoutNulls(_key: string, value: unknown): unknown {
  return value ?? undefined;
}
