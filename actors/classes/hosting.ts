/** Records whether the class of this actor's process was found in its file. */

let isServing = false;

export function noteServing(): void {
  isServing = true;
}

export function isClassFound(): boolean {
  return isServing;
}
