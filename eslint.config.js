import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

// Imports point one way (docs/decisions/0001-layout.md): each folder lists the folders (or single files) it may import.
// Random numbers and files are plain values, not tensors: the coordinator may draw and read them.
const MAY_IMPORT = {
  common: [],
  config: ['common'],
  tensor: ['common'],
  data: ['common', 'config', 'tensor'],
  models: ['common', 'tensor'],
  actors: ['common', 'gen'],
  report: ['common'],
  dashboard: ['common', 'report'],
  coordinator: [
    'common',
    'config',
    'tensor/random.ts',
    'tensor/safetensors.ts',
    'actors',
    'report',
    'dashboard',
    'gen',
  ],
  controller: ['common', 'actors', 'coordinator', 'gen'],
  services: ['common', 'config', 'tensor', 'models', 'data', 'actors', 'report', 'gen'],
  cli: [
    ...['common', 'config', 'tensor', 'models', 'data', 'actors', 'report', 'dashboard'],
    ...['coordinator', 'controller', 'services', 'gen'],
  ],
};

/** Rooms of a folder, lower ones first: each may import those before it (docs/decisions/0001-layout.md). Tests look anywhere. */
const ACTOR_ROOMS = [
  ...[
    'base',
    'security',
    'proto',
    'status',
    'calls',
    'serving',
    'control',
    'objects',
    'system',
    'supervisor',
  ],
  ...['actor', 'compute', 'pools', 'threads', 'cluster', 'node', 'classes'],
];

const COORDINATOR_ROOMS = ['crew', 'records', 'epoch', 'runs', 'api'];

const CLI_ROOMS = ['base', 'data', 'models', 'cluster', 'dashboard', 'run', 'study', 'api'];

const FOLDERS = [
  ...Object.keys(MAY_IMPORT),
  'gen',
  'bench',
  'test',
  'scripts',
  'docs',
  'examples',
  'grafana',
];

const PRODUCT = Object.keys(MAY_IMPORT);

/** Graphs of named functions are found again by a digest of tensor/ and models/: code elsewhere may not name any. */
const NAMED = {
  regex: '/tensor/named\\.ts$',
  message: 'A named function must be in models/ or tensor/ (tensor/named.ts).',
};

/** Folders that no file of this top-level folder may import. */
function forbiddenFolders(folder) {
  const allowed = MAY_IMPORT[folder];
  const files = allowed.filter((path) => path.endsWith('.ts'));
  const forbidden = FOLDERS.filter((other) => other !== folder && !allowed.includes(other));
  return [
    {
      regex: `^(\\.\\./)+(?!(${files.join('|') || '-'})$)(${forbidden.join('|')})/`,
      message: `${folder}/ may import only: ${['node packages', ...allowed].join(', ')}.`,
    },
    ...(['tensor', 'models'].includes(folder) ? [] : [NAMED]),
  ];
}

function restrictImports(files, patterns, ignores = []) {
  return { files, ignores, rules: { 'no-restricted-imports': ['error', { patterns }] } };
}

/**
 * `aboveOf` returns the files beside the rooms that a room may not import. A path climbs to the rooms in as many steps
 * as its file is deep, because a room may have the name of a top-level folder.
 */
function roomsOf(folder, rooms, aboveOf) {
  const depths = [
    { path: '*.ts', climb: '\\.\\./' },
    { path: '*/*.ts', climb: '\\.\\./\\.\\./' },
  ];
  return rooms.flatMap((room, index) =>
    depths.map(({ path, climb }) =>
      restrictImports(
        [`${folder}/${room}/${path}`],
        [
          ...forbiddenFolders(folder),
          {
            regex: `^${climb}((${rooms.slice(index + 1).join('|') || '-'})/|(${aboveOf(room).join('|')})\\.ts$)`,
            message: `${folder}/${room}/ may import, of this folder, only the rooms below it: ${rooms.slice(0, index).join(', ')}.`,
          },
        ],
        ['**/*.test.ts'],
      ),
    ),
  );
}

const importDirection = [
  ...Object.keys(MAY_IMPORT).map((folder) =>
    restrictImports([`${folder}/**/*.ts`], forbiddenFolders(folder)),
  ),
  ...roomsOf('actors', ACTOR_ROOMS, (room) => (room === 'classes' ? ['index'] : ['index', 'serve'])),
  ...roomsOf('coordinator', COORDINATOR_ROOMS, () => ['handler', 'main', 'service', 'service-metrics']),
  ...roomsOf('cli', CLI_ROOMS, () => ['main', 'program']),
];

export default tseslint.config(
  { ignores: ['dist/', 'gen/', 'runs/', 'node_modules/', 'coverage/', 'test-results/'] },
  ...tseslint.configs.recommended.map((config) => ({ files: ['**/*.ts'], ...config })),
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    files: ['**/*.ts', '**/*.js', '**/*.mjs'],
    ignores: ['**/*.test.ts', '**/testing/**', 'test/**'],
    rules: {
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // Matching text from outside must take time linear in its length.
    files: PRODUCT.map((folder) => `${folder}/**/*.ts`),
    ignores: ['**/*.test.ts', '**/testing/**'],
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
    },
  },
  {
    // Its second of patience is too short on a busy machine.
    files: ['**/*.test.ts', '**/testing/**', 'test/**/*.ts'],
    ignores: ['common/testing/eventually.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...['waitFor', 'waitUntil'].map((property) => ({
          ...{ object: 'vi', property },
          message: 'Use eventually (common/testing/eventually.ts).',
        })),
      ],
    },
  },
  ...importDirection,
  restrictImports(['{bench,examples}/**/*.ts'], [NAMED]),
);
