/** Work that is done only once: all callers get the first one's promise. */
export function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let first: Promise<Result> | null = null;
  return () => (first ??= work());
}
