/** Decoded images with their labels: what a classifier trains on. */

export interface ImageSet {
  /** [n, height, width, channels], row-major, 0..255. */
  images: Uint8Array;
  /** Indices into the data set's classes. */
  labels: Int32Array;
  /** One an image, unique in the data set. */
  ids: string[];
  groups: string[] | null;
}
