/** A classifier's predictions for every image of a split, as CSV, so that anyone can audit a table: the header
 * `image,label,<class>,<class>,…`, then a row for each image, with its class by name and a probability for each class.
 */

export interface Predictions {
  /** Ids of the images, as in the data. */
  readonly ids: readonly string[];
  readonly labels: ArrayLike<number>;
  readonly classes: readonly string[];
  /** Row-major [n, classes]. */
  readonly probabilities: ArrayLike<number>;
}

/** Maximum number of probabilities in one file, which is then about 200 MB. */
const MOST_PROBABILITIES = 20_000_000;

/** Why a split has no such file; null if it has one. */
export function refusePredictions(split: string, images: number, classes: number): string | null {
  if (images * classes <= MOST_PROBABILITIES) return null;
  const needed = (images * classes).toLocaleString('en');
  return `predictions-${split}.csv will be left out: ${images} images of ${classes} classes make ${needed} probabilities, above ${MOST_PROBABILITIES.toLocaleString('en')}`;
}

/** Probabilities have seven significant digits, as many as float32 holds. Lines end as RFC 4180 requires. */
export function encodePredictions({ ids, labels, classes, probabilities }: Predictions): string {
  const lines = [['image', 'label', ...classes].map(quoted).join()];
  ids.forEach((id, row) => {
    const own = classes.map((_, c) =>
      String(Number(probabilities[row * classes.length + c]!.toPrecision(7))),
    );
    lines.push([quoted(id), quoted(classes[labels[row]!]!), ...own].join());
  });
  return `${lines.join('\r\n')}\r\n`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
