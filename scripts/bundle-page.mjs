/** Bundles the browser's side of the dashboard into dist/dashboard/page: one script, one style. */
import { build } from 'esbuild';

const outdir = 'dist/dashboard/page';
await build({
  entryPoints: { page: 'dashboard/page/main.ts' },
  outdir,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
});
await build({
  entryPoints: { page: 'dashboard/page/style.css' },
  outdir,
  minify: true,
  legalComments: 'none',
});
