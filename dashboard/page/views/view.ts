/** A part of the page: an element that lives, and a function that brings it up to date. */
import type { Part } from '../run-store.ts';

export interface View {
  readonly element: HTMLElement;
  /** What it shows: other news leaves it in peace, and whoever is about to click on it. */
  readonly reads: readonly Part[];
  update(): void;
}
