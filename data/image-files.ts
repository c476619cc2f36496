/** Paths of image files under a folder, for callers that need no layout. */
import { imagesOf, readTree } from './layout/tree.ts';

export { isFolder } from './layout/tree.ts';

/** Paths of all images under `folder`, relative to it, with `/`. Throws UserError as `readTree`. */
export async function listImages(folder: string): Promise<string[]> {
  return imagesOf(await readTree(folder)).map(({ file }) => file.slice(folder.length + 1));
}
