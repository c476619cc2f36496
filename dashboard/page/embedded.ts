/** The data inside report.html. */
import type { Mistakes } from '../model/mistakes.ts';
import type { GridFrame, RunUpdate } from '../model/run-model.ts';
import type { StudyResults } from '../../report/study-results.ts';
import type { RowPictures } from '../model/studies.ts';

export type Embedded =
  | {
      readonly kind: 'run';
      readonly update: RunUpdate;
      readonly frames: readonly GridFrame[];
      readonly real: GridFrame | null;
      readonly mistakes: readonly Mistakes[];
    }
  | { readonly kind: 'study'; readonly results: StudyResults; readonly pictures: readonly RowPictures[] };
