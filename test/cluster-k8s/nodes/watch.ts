/** Follows the objects of a kind, from now until the end, whatever happens to the connection. */
import {
  type KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
} from '@kubernetes/client-node';

const AGAIN_MS = 1000;

export interface Watcher<Kind> {
  /** An object that is there, or has changed. */
  readonly see: (object: Kind) => void;
  readonly lose: (object: Kind) => void;
}

export class Watch {
  /** Resolves when what was there has been seen. */
  readonly begun: Promise<void>;
  readonly #stop: () => Promise<void>;
  #isStopped = false;

  private constructor(start: (again: () => void) => Promise<void>, stop: () => Promise<void>) {
    this.#stop = stop;
    let resolve: () => void;
    this.begun = new Promise<void>((done) => (resolve = done));
    const begin = () => void start(again).then(resolve!, again);
    const again = () => {
      if (!this.#isStopped) setTimeout(begin, AGAIN_MS).unref();
    };
    begin();
  }

  /** `list` gives the objects in the form in which `see` is to have them; changes come as the API server's JSON. */
  static of<Kind extends KubernetesObject>(
    config: KubeConfig,
    path: string,
    list: () => Promise<KubernetesListObject<Kind>>,
    { see, lose }: Watcher<Kind>,
  ): Watch {
    const informer = makeInformer<Kind>(config, path, list);
    informer.on('add', see);
    informer.on('update', see);
    informer.on('delete', lose);
    let listener: (() => void) | null = null;
    const start = (again: () => void) => {
      if (listener === null) informer.on('error', (listener = again));
      return informer.start();
    };
    return new Watch(start, () => informer.stop());
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#stop();
  }
}
