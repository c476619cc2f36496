/** What the page may do to runs, where somebody does it. */
/** What can be done to runs; each rejects with an Error that tells why not. */
export interface RunActions {
  /** Gives the id of the new run. */
  start(config: object, id: string): Promise<string>;
  cancel(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}
