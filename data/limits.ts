/** Limits on input. Each reader refuses larger input with one line that names file and limit, before it allocates
 * memory for it. Arrays lie in the memory of the trainer, so larger limits would not help;
 * decoded files need not (cache/).
 */

/** Images in one data set, all splits together. */
export const MAX_IMAGES = 10_000_000;
/** Bytes of one array or split, unpacked. */
export const MAX_ARRAY_BYTES = 2 ** 31;
/** Bytes of all arrays of one NPZ file, unpacked. */
export const MAX_UNPACKED_BYTES = 3 * 2 ** 30;
/** Bytes of an NPZ or IDX file. */
export const MAX_ARCHIVE_BYTES = 3 * 2 ** 30;
/** Members of an NPZ file. */
export const MAX_MEMBERS = 1000;
/** Bytes of an array that is one label an image. */
export const MAX_LABEL_BYTES = 8 * MAX_IMAGES;
/** Bytes of NPY's header: NumPy itself reads 10,000. */
export const MAX_NPY_HEADER_BYTES = 65_536;

/** Bytes of a CSV file. */
export const MAX_TABLE_BYTES = 2 ** 27;
export const MAX_TABLE_ROWS = 2_000_000;
/** Rows times columns: a short row has a field for each column too. */
export const MAX_TABLE_CELLS = 2 ** 26;
/** Characters of one row. */
export const MAX_ROW_CHARACTERS = 65_536;

/** Bytes of one image file. */
export const MAX_IMAGE_FILE_BYTES = 2 ** 28;
/** Pixels of one image; more is taken for a decompression bomb. */
export const MAX_IMAGE_PIXELS = 100_000_000;
/** Seconds for decoding one image. */
export const MAX_DECODE_SECONDS = 60;
/** Folders that a data set may have. */
export const MAX_FOLDERS = 100_000;
/** Ways that may lead to one folder; more are taken for links that multiply. */
export const MAX_WAYS_TO_FOLDER = 16;
