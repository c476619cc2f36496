import { defineConfig } from 'vitest/config';

// `unit`: quick, in-process, beside the code it tests. `system`: real processes, run on built JavaScript.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          // Examples import the package by its name; here that is the source, not what is built.
          alias: { 'ballast/tensor': new URL('tensor/index.ts', import.meta.url).pathname },
          include: [
            '{common,config,tensor,models,data,actors,services,coordinator,cli,report,bench,docs,scripts,grafana}/**/*.test.ts',
          ],
          // Loading TensorFlow.js takes most of a second, several on a busy machine.
          testTimeout: 30_000,
          env: { BALLAST_GRAPH_CACHE: 'off' },
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/support/suite-folder.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
