import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { METHOD_SCOPES } from '../coordinator/api/access.ts';
import { methodTable, readApi, typeSections } from '../scripts/api-reference.ts';
import { withParts } from '../scripts/generated-docs.ts';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENT = join(ROOT, 'docs/api.md');
const SOURCES = join(ROOT, 'coordinator/api');
const api = readApi(join(ROOT, 'proto/ballast/v1/coordinator.proto'));

it('docs/api.md says what the proto says (else: make docs)', async () => {
  const text = await withParts(DOCUMENT, {
    about: api.about,
    methods: methodTable(api),
    messages: typeSections(api),
  });
  await expect(text).toMatchFileSnapshot('api.md');
});

it('every link leads to a section that is there', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!.toLowerCase().replaceAll('.', ''),
  );
  const links = [...text.matchAll(/\]\(#([\w-]+)\)/g)].map(([, target]) => target!);
  expect(links.length).toBeGreaterThan(30);
  expect(links.filter((link) => !headings.includes(link))).toEqual([]);
});

it('the proto names the scope that the server asks for', () => {
  const named = api.methods.map(({ name, scope }) => [name[0]!.toLowerCase() + name.slice(1), scope]);
  expect(Object.fromEntries(named)).toEqual(METHOD_SCOPES);
});

it('the table of errors has every reason that the server gives, and no other', () => {
  const sources = readdirSync(SOURCES).filter((name) => /^[\w-]+\.ts$/.test(name));
  const given = sources.flatMap((name) => reasonsIn(readFileSync(join(SOURCES, name), 'utf8')));
  const listed = [...readFileSync(DOCUMENT, 'utf8').matchAll(/^\| `([A-Z_]+)` +\| `[A-Z_]+` +\|/gm)].map(
    ([, r]) => r!,
  );
  expect([...listed].sort()).toEqual([...new Set(given)].sort());
});

function reasonsIn(source: string): string[] {
  const choices = [...source.matchAll(/reason: \w+ \? '([A-Z_]+)' : '([A-Z_]+)'/g)].flatMap(([, a, b]) => [
    a!,
    b!,
  ]);
  const others = [...source.matchAll(/(?:\breason: |\b(?:notFound|precondition)\(\s*)'([A-Z_]+)'/g)].map(
    ([, r]) => r!,
  );
  return [...choices, ...others];
}
