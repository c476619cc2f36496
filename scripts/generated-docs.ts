/**
 * Documents with generated parts. A generated part is between `<!-- generated: name -->` and `<!-- end -->`; the rest
 * is written by hand. `make docs` regenerates the parts, and a unit test fails when one is stale.
 */
import { readFileSync } from 'node:fs';
import prettier from 'prettier';

/** The document at `path` with every part replaced, formatted. Throws when the document lacks a part, or has one more. */
export async function withParts(path: string, parts: Readonly<Record<string, string>>): Promise<string> {
  const missing = new Set(Object.keys(parts));
  const text = readFileSync(path, 'utf8').replace(
    /(<!-- generated: ([\w-]+) -->)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const part = parts[name];
      if (part === undefined) throw new Error(`${path}: nothing generates the part '${name}'`);
      missing.delete(name);
      return `${begin}\n\n${part}\n\n${end}`;
    },
  );
  if (missing.size > 0) throw new Error(`${path}: has no part named ${[...missing].join(', ')}`);
  return prettier.format(text, {
    ...(await prettier.resolveConfig(path)),
    parser: 'markdown',
    proseWrap: 'always',
  });
}

/** A Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
