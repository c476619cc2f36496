/** ExtraSamples of a TIFF or BigTIFF file, which sharp does not tell (TIFF 6.0, page 31). */
import { withBoundedFile } from '../../common/bounded-file.ts';
import { MAX_IMAGE_FILE_BYTES } from '../limits.ts';

const EXTRA_SAMPLES = 338;
/** Its values for transparency; 0 is anything else. */
const TRANSPARENCY = new Set([1, 2]);
const BIG = 43;

/** Whether the one sample beyond grey or colour is said to be no transparency: infrared, for example. */
export async function hasOtherSample(file: string): Promise<boolean> {
  return withBoundedFile(file, MAX_IMAGE_FILE_BYTES, async (handle, size) => {
    const read = async (at: number, count: number): Promise<DataView> => {
      const bytes = new Uint8Array(Math.min(count, size));
      await handle.read(bytes, 0, bytes.length, at);
      return new DataView(bytes.buffer);
    };
    const head = await read(0, 16);
    const isLittle = head.getUint8(0) === 0x49;
    const isBig = head.getUint16(2, isLittle) === BIG;
    const long = (view: DataView, at: number): number =>
      isBig ? Number(view.getBigUint64(at, isLittle)) : view.getUint32(at, isLittle);
    const start = long(head, isBig ? 8 : 4);
    const [countBytes, entryBytes] = isBig ? [8, 20] : [2, 12];
    const first = await read(start, countBytes);
    const count = isBig ? long(first, 0) : first.getUint16(0, isLittle);
    const entries = await read(start + countBytes, count * entryBytes);
    for (let at = 0; at < entries.byteLength; at += entryBytes)
      if (entries.getUint16(at, isLittle) === EXTRA_SAMPLES)
        return long(entries, at + 4) === 1 && !TRANSPARENCY.has(entries.getUint16(at + (isBig ? 12 : 8), isLittle)); // prettier-ignore
    return false;
  });
}
