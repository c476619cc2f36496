/** Decoded images with their labels: what a classifier trains on. */
import type { Images } from './images.ts';

export interface ImageSet {
  images: Images;
  /** Indices into the data set's classes. */
  labels: Int32Array;
  /** One an image, unique in the data set. */
  ids: string[];
  groups: string[] | null;
}
