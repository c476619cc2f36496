/**
 * After `tsc`: writes dist/bundle, two files of all that our processes load, with what V8 compiles them to, and a small module for
 * each program and public module; and the browser's side of the dashboard, into dist/dashboard/page.
 * docs/decisions/0051 and 0052 say why.
 */
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * The bundles, each with its entries by their place in dist/ and in dist/bundle. One is for actors of whatever kind, and small;
 * the other is for what we do with them. `main` of a program is a promise.
 */
const BUNDLES = {
  runtime: [
    'actors/index',
    'actors/threads/thread-host',
    'actors/threads/thread-main',
    ...(existsSync('dist/bench') ? ['bench/call-actor'] : []), // the context of an image has no benchmarks
  ],
  ballast: [
    'cli/main',
    'coordinator/main',
    'services/classifier-trainer/compute',
    'services/classifier-trainer/main',
    'services/diffusion-worker/compute',
    'services/diffusion-worker/main',
    'tensor/gpu-trial-main',
    'tensor/index',
  ],
};

/** Entries that users import; the others are programs of processes and threads. */
const MODULES = ['actors/index', 'tensor/index'];

/** A thread that needs so little that it is a file of its own. */
const LIVENESS = 'actors/actor/liveness-thread';

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

const FOLDER = 'dist/bundle';

const FOR_NODE = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  legalComments: 'none', // licences.txt holds them whole
  sourcemap: true,
  sourcesContent: false,
};

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER);
const inputs = {};
for (const [name, entries] of Object.entries(BUNDLES)) {
  const { file, metafile } = await bundle(name, entries);
  for (const entry of entries) await writeEntry(entry, file);
  Object.assign(inputs, metafile.inputs);
}
writeFileSync(join(FOLDER, 'licences.txt'), licences(inputs));
await build({
  ...FOR_NODE,
  entryPoints: [`dist/${LIVENESS}.js`],
  outfile: join(FOLDER, `${LIVENESS}.js`),
  format: 'esm',
});
for (const program of ['examples/actors/hello.mjs', 'dist/bundle/cli/main.js'])
  execFileSync(process.execPath, ['--import', './scripts/compile-bundle.mjs', program, '--version']);

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

/**
 * One CommonJS file, because V8's compiled code can be given to no other kind of module before Node 22. A module in it runs
 * when an entry first needs it. Its name has a digest of its content: V8 compares compiled code with its source by length
 * alone.
 */
async function bundle(name, entries) {
  const lines = entries.map((entry) => `'${entry}': () => require('./dist/${entry}.js')`);
  const { metafile, outputFiles } = await build({
    ...FOR_NODE,
    write: false,
    stdin: { contents: `module.exports = {\n${lines.join(',\n')}\n};`, resolveDir: '.' },
    outdir: FOLDER,
    entryNames: `${name}-[hash]`,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    minifyWhitespace: true,
    lineLimit: 120, // an uncaught error prints its line
    external: EXTERNAL,
    define: { 'import.meta.url': '$url' },
    banner: {
      js: `'use strict';\nmodule.exports = ($import) => {\nconst $url = require('node:url').pathToFileURL(__filename).href;`,
    },
    footer: { js: 'return module.exports; };' },
    metafile: true,
  });
  // Node allows `import()` in a script only behind a flag, so the loader passes its own.
  for (const { path, text } of outputFiles) writeFileSync(path, text.replaceAll(/\bimport\(/g, '$import('));
  return { file: Object.keys(metafile.outputs).find((name) => name.endsWith('.cjs')), metafile };
}

/** A module in the place of an entry: it runs the entry of its bundle. */
async function writeEntry(entry, file) {
  const target = join(FOLDER, `${entry}.js`);
  const from = (path) => relative(dirname(target), path);
  const call = `loadBundled(fileURLToPath(new URL('${from(file)}', import.meta.url)), '${entry}')`;
  const isModule = MODULES.includes(entry);
  const names = isModule ? Object.keys(await import(`../dist/${entry}.js`)) : [];
  const lines = [
    ...(entry === 'cli/main' ? ['#!/usr/bin/env node'] : []),
    "import { fileURLToPath } from 'node:url';",
    `import { loadBundled } from '${from('dist/common/bundle-loader.js')}';`,
    isModule ? `export const { ${names.join(', ')} } = ${call};` : `await ${call}.main;`,
  ];
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `${lines.join('\n')}\n`);
}
/** The licences of the libraries whose code is in the bundles. Throws when one has none. */
function licences(inputs) {
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
