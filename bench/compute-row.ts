/** One line of the benchmark of computing. */

export interface ComputeRow {
  readonly metric: string;
  /** Units a second. */
  readonly ours: number;
  readonly theirs: number | null;
  readonly unit: string;
  readonly peer: string | null;
  readonly ratio: number | null;
  readonly spread: readonly [number, number] | null;
  readonly peakShare: number;
  readonly compileSeconds: number;
}
