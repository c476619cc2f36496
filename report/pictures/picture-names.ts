/** Names of the pictures in a run folder's `grids/`, for the server and for the page. */

/** Synthetic images of one epoch: `epoch-003.png`. */
export function epochPicture(epoch: number): string {
  return `epoch-${String(epoch).padStart(3, '0')}.png`;
}

/** The nearest training images beside the images of such a picture. */
export function nearestPicture(name: string): string {
  return name.replace(/\.png$/, '-nearest.png');
}
