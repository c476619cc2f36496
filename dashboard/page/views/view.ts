/** A part of the page: an element that lives, and a function that brings it up to date. */
export interface View {
  readonly element: HTMLElement;
  update(): void;
}
