/** Whether a row of a study is dropped before all its seeds are done. Pure. */
import type { StudyConfig } from '../../config/study-config.ts';
import {
  hasMoreRealImages,
  STUDY_MEASURES,
  type StudyMeasure,
  type StudyResults,
  type StudyRow,
} from '../../report/study-results.ts';

export type StopRule = NonNullable<StudyConfig['stop']>;

/**
 * Why `name` is dropped. Null when it continues: as a row to beat, as one of additional real images, or because in one
 * of the rule's measures it beats every row of `against` with each of the first `afterSeeds` seeds. A run without a
 * score beats none.
 */
export function whyDropped(rule: StopRule, results: StudyResults, name: string): string | null {
  const rivals = rule.against ?? [results.reference];
  if (rivals.includes(name) || name === results.reference || hasMoreRealImages(results, name)) return null;
  const rowOf = (wanted: string) => results.rows.find((row) => row.name === wanted)!;
  const row = rowOf(name);
  const wins = (measure: StudyMeasure) =>
    rivals.every((rival) => beats(row, rowOf(rival), measure, rule.afterSeeds));
  if (rule.measures.some(wins)) return null;
  const titles = rule.measures.map((measure) => STUDY_MEASURES[measure].title).join(', ');
  return `with the first ${rule.afterSeeds} seeds it did not always beat ${rivals.join(', ')} in any of: ${titles}`;
}

function beats(row: StudyRow, rival: StudyRow, measure: StudyMeasure, seeds: number): boolean {
  const { smallerIsBetter } = STUDY_MEASURES[measure];
  return Array.from({ length: seeds }, (_, pair) => pair).every((pair) => {
    const [own, other] = [row, rival].map(
      ({ runs }) => runs.find((run) => run.pair === pair)?.measures[measure] ?? null,
    );
    if (own === null || own === undefined || other === null || other === undefined) return false;
    return smallerIsBetter ? own < other : own > other;
  });
}
