/** Follows the objects of a kind until it is stopped, whatever happens to the connection. */
import {
  type KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
} from '@kubernetes/client-node';

export interface KindListeners<Kind> {
  /** An object that is there, or has changed. */
  readonly see: (object: Kind) => void;
  readonly lose: (object: Kind) => void;
  /** The list or the watch failed; it is tried again after `retryMs`. */
  readonly onFailure?: (thrown: unknown) => void;
  /** The watch has begun: for the first time, or again after a failure. */
  readonly onSuccess?: () => void;
}

/** The objects of an API path, in the form of the API server's JSON. */
export interface Kind<Object extends KubernetesObject> {
  /** As `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL`. */
  readonly path: string;
  readonly list: () => Promise<KubernetesListObject<Object>>;
}

const RETRY_MS = 1000;

export class KindWatch<Object extends KubernetesObject> {
  /** Resolves when what was there has been seen. */
  readonly begun: Promise<void>;
  readonly #informer: ReturnType<typeof makeInformer<Object>>;
  readonly #listeners: KindListeners<Object>;
  readonly #retryMs: number;
  #begin: () => void = () => undefined;
  #starting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** Starts at once. */
  constructor(
    config: KubeConfig,
    { path, list }: Kind<Object>,
    listeners: KindListeners<Object>,
    retryMs = RETRY_MS,
  ) {
    this.#listeners = listeners;
    this.#retryMs = retryMs;
    this.#informer = makeInformer<Object>(config, path, list);
    this.begun = new Promise((resolve) => (this.#begin = resolve));
    this.#informer.on('add', listeners.see);
    this.#informer.on('update', listeners.see);
    this.#informer.on('delete', listeners.lose);
    this.#informer.on('error', (thrown: unknown) => this.#again(thrown));
    this.#start();
  }

  /** Those that are known now. */
  list(): readonly Object[] {
    return this.#informer.list();
  }

  /** Resolves when no connection is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#informer.stop();
    // The library goes on with a start that is under way: it ends with the connection that it opens.
    await this.#starting;
    await this.#informer.stop();
  }

  #start(): void {
    let hasFailed = false;
    const failed = () => (hasFailed = true);
    this.#informer.on('error', failed);
    this.#starting = this.#informer
      .start()
      .catch((thrown: unknown) => this.#again(thrown))
      .then(() => {
        this.#informer.off('error', failed);
        if (hasFailed || this.#isStopped) return;
        this.#begin();
        this.#listeners.onSuccess?.();
      });
  }

  #again(thrown: unknown): void {
    if (this.#isStopped) return;
    this.#listeners.onFailure?.(thrown);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#start(), this.#retryMs);
  }
}
