/** Actions of the page on runs, where a coordinator performs them. */
/** Actions on runs; each rejects with an Error that gives the reason. */
export interface RunActions {
  /** Gives the id of the new run. */
  start(config: object, id: string): Promise<string>;
  cancel(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}
