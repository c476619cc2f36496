/**
 * Bundles what is started often, after `tsc`: programs with the modules and libraries that they load at once, into
 * dist/bundle; and the browser's side of the dashboard, into dist/dashboard/page. docs/decisions/0051 says why.
 */
import { build } from 'esbuild';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Programs and public modules, by their place in dist/ and in dist/bundle. */
const ENTRIES = [
  'actors/actor/liveness-thread',
  'actors/index',
  'actors/threads/thread-host',
  'actors/threads/thread-main',
  ...(existsSync('dist/bench') ? ['bench/call-actor'] : []), // the context of an image has no benchmarks
  'cli/main',
  'coordinator/main',
  'services/classifier-trainer/compute',
  'services/classifier-trainer/main',
  'services/diffusion-worker/compute',
  'services/diffusion-worker/main',
  'tensor/gpu-trial-main',
  'tensor/index',
];

/** Libraries that stay in node_modules: native, looking for files beside their code, or large and seldom loaded. */
const EXTERNAL = [
  '@grpc/proto-loader',
  '@grpc/reflection',
  '@kubernetes/client-node',
  '@tensorflow/*',
  'dejavu-fonts-ttf',
  'echarts',
  'koffi',
  'onnxruntime-node',
  'sharp',
];

const BUNDLE = 'dist/bundle';

rmSync(BUNDLE, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: Object.fromEntries(ENTRIES.map((entry) => [entry, `dist/${entry}.js`])),
  outdir: BUNDLE,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true, // one copy of each module, whichever programs and public modules a process loads
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: EXTERNAL,
  // CommonJS libraries call `require` for Node's own modules.
  banner: {
    js: "import { createRequire as $createRequire } from 'node:module';\nconst require = $createRequire(import.meta.url);",
  },
  legalComments: 'none', // licences.txt holds them whole
  sourcemap: true,
  sourcesContent: false,
  metafile: true,
});
writeFileSync(join(BUNDLE, 'licences.txt'), licences(metafile));

const page = 'dist/dashboard/page';
await build({
  entryPoints: { page: 'dashboard/page/main.ts' },
  outdir: page,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
});
await build({
  entryPoints: { page: 'dashboard/page/style.css' },
  outdir: page,
  minify: true,
  legalComments: 'none',
});

/** The licences of the libraries whose code is in the bundle. Throws when one has none. */
function licences({ inputs }) {
  const folders = Object.keys(inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const texts = [...new Set(folders.filter((folder) => folder !== undefined))].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    if (file === undefined && license === undefined) throw new Error(`${folder} has no licence`);
    const text = file === undefined ? `Licence: ${license}` : readFileSync(join(folder, file), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
