import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { expect, it } from 'vitest';
import { withParts } from '../scripts/generated-docs.ts';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'examples/actors');
/** Examples that the guide shows; the reference shows the others. */
const GUIDE = [
  'hello.mjs',
  'hello-typed.ts',
  'methods.mjs',
  'state.mjs',
  'tasks.mjs',
  'values.mjs',
  'options.mjs',
];
const LANGUAGES: Readonly<Record<string, string>> = { '.proto': 'proto', '.mjs': 'js', '.ts': 'ts' };

function partOf(name: string): readonly [string, string] {
  const code = readFileSync(join(FOLDER, name), 'utf8').trimEnd();
  const block = `\`\`\`${LANGUAGES[extname(name)]}\n${code}\n\`\`\``;
  const isAsItIs = name === 'hello.mjs'; // eight lines, which prettier would make fourteen
  const key = name.replace(/\.(mjs|ts)$/, '').replace('.', '-');
  return [key, isAsItIs ? `<!-- prettier-ignore -->\n${block}` : block];
}

it.each([
  ['actors.md', GUIDE],
  ['actors-reference.md', readdirSync(FOLDER).filter((name) => !GUIDE.includes(name))],
])('docs/%s shows its examples as they are (else: make docs)', async (page, names) => {
  const text = await withParts(join(ROOT, 'docs', page), Object.fromEntries(names.map(partOf)));
  await expect(text).toMatchFileSnapshot(page);
});

it('the first actor takes at most eight lines', () => {
  expect(readFileSync(join(FOLDER, 'hello.mjs'), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(8);
});
