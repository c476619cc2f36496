/** Counts the graphs that this thread has compiled and read from the cache, for a run's records and metrics. */

export interface GraphTotals {
  readonly compiled: number;
  readonly compileSeconds: number;
  /** Read from the cache on disk instead. */
  readonly loaded: number;
  readonly loadSeconds: number;
}

let totals: GraphTotals = { compiled: 0, compileSeconds: 0, loaded: 0, loadSeconds: 0 };

export function countGraph(wasCached: boolean, seconds: number): void {
  const { compiled, compileSeconds, loaded, loadSeconds } = totals;
  totals = wasCached
    ? { ...totals, loaded: loaded + 1, loadSeconds: loadSeconds + seconds }
    : { ...totals, compiled: compiled + 1, compileSeconds: compileSeconds + seconds };
}

/** Since the thread started. */
export function graphTotals(): GraphTotals {
  return totals;
}

/** `2 compiled in 0.51 s, 1 from the cache in 0.06 s`. */
export function describeTotals({ compiled, compileSeconds, loaded, loadSeconds }: GraphTotals): string {
  const made = `${compiled} compiled in ${compileSeconds.toFixed(2)} s`;
  return `${made}, ${loaded} from the cache in ${loadSeconds.toFixed(2)} s`;
}
