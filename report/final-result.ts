/** The evaluation that represents a finished run: test, otherwise development, otherwise validation. */
import type { Metrics, RunReport } from './records.ts';

export interface FinalResult {
  readonly split: 'test' | 'development' | 'validation';
  readonly metrics: Metrics;
}

/** Null for a run that was never evaluated. */
export function finalResult({ test, development, validation }: RunReport): FinalResult | null {
  if (test) return { split: 'test', metrics: test };
  if (development) return { split: 'development', metrics: development };
  return validation && { split: 'validation', metrics: validation };
}
