/** The interpretation of a source, and its evidence, shown to the user before training. */

export interface Unused {
  /** Files, with the first name. */
  readonly what: string;
  readonly count: number;
  readonly why: string;
}

/** A table that cannot be read. */
export interface Unread {
  readonly name: string;
  readonly file: string;
  readonly why: string;
}

export interface Layout {
  readonly kind:
    'class folders' | 'split folders' | 'split folders in class folders' | 'table' | 'arrays' | 'idx';
  /** The evidence, one line each. */
  readonly evidence: readonly string[];
  /** Columns of a table by what they hold. */
  readonly columns: Readonly<Record<string, string>> | null;
  readonly unused: readonly Unused[];
  /** Files of operating systems and storage devices, which are passed over. */
  readonly junk: number;
  /** Doubts, one line each. */
  readonly doubts: readonly string[];
}

export function simpleLayout(kind: Layout['kind'], ...evidence: string[]): Layout {
  return { kind, evidence, columns: null, unused: [], junk: 0, doubts: [] };
}

/** One line on unused files. Null when there are none. */
export function unusedFiles(
  files: readonly { readonly name: string }[],
  noun: string,
  why: string,
  whyAll = why,
): Unused[] {
  if (files.length === 0) return [];
  const first = files[0]!.name;
  const what = files.length === 1 ? `1 ${noun} (${first})` : `${files.length} ${noun}s (first: ${first})`;
  return [{ what, count: files.length, why: files.length === 1 ? why : whyAll }];
}

export function describeUnused({ what, count, why }: Unused): string {
  return `${what} ${count === 1 ? 'is' : 'are'} not used: ${why}`;
}

/** Doubts about classes whose names differ only in case: perhaps they are one. */
export function alike(classes: readonly string[]): string[] {
  const first = new Map<string, string>();
  return classes.flatMap((name) => {
    const before = first.get(name.toLowerCase());
    if (before === undefined) first.set(name.toLowerCase(), name);
    return before === undefined
      ? []
      : [`classes '${before}' and '${name}' differ only in case: are they one?`];
  });
}
