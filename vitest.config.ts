import { defineConfig } from 'vitest/config';

// `unit`: quick, in-process, beside the code it tests. `system`: real processes, run on built JavaScript.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{common,tensor,models,data,actors,services,coordinator,cli,report}/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
