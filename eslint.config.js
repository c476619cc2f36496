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
  coordinator: ['common', 'config', 'tensor/random.ts', 'tensor/safetensors.ts', 'actors', 'report', 'gen'],
  services: ['common', 'config', 'tensor', 'models', 'data', 'actors', 'report', 'gen'],
};
const FOLDERS = [
  ...Object.keys(MAY_IMPORT),
  'cli',
  'gen',
  'bench',
  'test',
  'scripts',
  'docs',
  'examples',
  'grafana',
];

/** Graphs of named functions are found again by a digest of tensor/ and models/: code elsewhere may not name any. */
const NAMED = {
  regex: '/tensor/named\\.ts$',
  message: 'A named function must lie in models/ or tensor/ (tensor/named.ts).',
};

const importDirection = Object.entries(MAY_IMPORT).map(([folder, allowed]) => {
  const files = allowed.filter((path) => path.endsWith('.ts'));
  const forbidden = FOLDERS.filter((other) => other !== folder && !allowed.includes(other));
  return {
    files: [`${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(?!(${files.join('|') || '-'})$)(${forbidden.join('|')})/`,
              message: `${folder}/ may import only: ${['node packages', ...allowed].join(', ')}.`,
            },
            ...(['tensor', 'models'].includes(folder) ? [] : [NAMED]),
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['dist/', 'gen/', 'runs/', 'node_modules/', 'coverage/', 'test-results/'] },
  ...tseslint.configs.recommendedTypeChecked.map((config) => ({ files: ['**/*.ts'], ...config })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
    },
  },
  ...importDirection,
  {
    files: ['{cli,bench,examples}/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [NAMED] }] },
  },
);
