/** An image that was decoded here, not by sharp. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** [height, width, channels], 0..255. */
  readonly data: Uint8Array;
}
