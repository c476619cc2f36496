/** What report.html holds inside. */
import type { Mistakes } from '../model/mistakes.ts';
import type { GridFrame, RunUpdate } from '../model/run-model.ts';
import type { TableView } from '../model/tables.ts';

export type Embedded =
  | {
      readonly kind: 'run';
      readonly update: RunUpdate;
      readonly frames: readonly GridFrame[];
      readonly real: GridFrame | null;
      readonly mistakes: readonly Mistakes[];
    }
  | { readonly kind: 'table'; readonly table: TableView };
