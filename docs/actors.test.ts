import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { withParts } from '../scripts/generated-docs.ts';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'examples/actors');

it('docs/actors.md shows every example as it is (else: make docs)', async () => {
  const parts = readdirSync(FOLDER).map((name) => {
    const code = readFileSync(join(FOLDER, name), 'utf8').trimEnd();
    const language = name.endsWith('.proto') ? 'proto' : 'js';
    return [name.replace('.mjs', '').replace('.', '-'), `\`\`\`${language}\n${code}\n\`\`\``] as const;
  });
  const text = await withParts(join(ROOT, 'docs/actors.md'), Object.fromEntries(parts));
  await expect(text).toMatchFileSnapshot('actors.md');
});
