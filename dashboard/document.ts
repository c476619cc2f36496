/**
 * The HTML around the page: served live, or as one file with its data inside, which opens from disk and makes no
 * network requests. Scripts and styles run only by their digests or from the server itself; nothing else can be
 * injected.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { packageRoot } from '../common/package-root.ts';
import { escapeMarkup } from '../report/markup.ts';

/** The page as `npm run build` bundled it. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
}

const DESCRIPTION =
  'A run of Ballast: how well each class is recognised, and the images that were made for it.';

/** @throws UserError when the page was not built. */
export async function readPageAssets(): Promise<PageAssets> {
  const folder = join(packageRoot(), 'dist', 'dashboard', 'page');
  try {
    const [script, style] = await Promise.all(
      ['page.js', 'page.css'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    return { script: script!, style: style! };
  } catch (thrown) {
    throw new UserError(`${folder} lacks the page: npm run build`, { cause: thrown });
  }
}

/** Policy of the live page: only its own resources; no inline script, no frame around it. */
export const LIVE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

function frame(head: string, body: string, title: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${head}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${DESCRIPTION}">
<link rel="icon" href="data:,">
<title>${escapeMarkup(title)}</title>
</head>
<body>
<div id="app"><noscript>This page draws itself with a script. report.json beside it holds the same as numbers.</noscript></div>
${body}
</body>
</html>
`;
}

export function liveDocument(): string {
  const head =
    '<link rel="stylesheet" href="/assets/page.css">\n<script type="module" src="/assets/page.js"></script>';
  return frame(head, '', 'Ballast');
}

/** `data` is what the page shows (page/embedded.ts). Small texts first, so that the file can be read by eye as well. */
export function reportDocument({ script, style }: PageAssets, data: object, title: string): string {
  const code = script.replaceAll('</script', '<\\/script');
  const policy = `default-src 'none'; script-src ${digestOf(code)}; style-src ${digestOf(style)}; img-src data: file: 'self'; base-uri 'none'; form-action 'none'`;
  const head = `<meta http-equiv="Content-Security-Policy" content="${policy}">\n<style>${style}</style>`;
  const json = JSON.stringify(data)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
  const body = `<script type="application/json" id="data">${json}</script>\n<script type="module">${code}</script>`;
  return frame(head, body, title);
}

function digestOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
