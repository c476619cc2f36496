/** A part of the page: a live element, and a function that updates it. */
import type { Part } from '../run-store.ts';

export interface View {
  readonly element: HTMLElement;
  /** The topics that it shows: other news does not redraw it, so that clicks arrive. */
  readonly reads: readonly Part[];
  update(): void;
}
