import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { softwareVulkan } from './test/support/software-vulkan.ts';

// `unit`: quick, in-process, beside the code it tests. `system`: real processes, run on built JavaScript; `system-alone`:
// those that measure time or memory; `system-webgpu`: those that load a Vulkan driver. `containers`: `make containers`;
// `e2e`: `make e2e`.

const ALONE = ['test/{memory,thread-timing}.test.ts', 'test/cluster/speed-up.test.ts'];

/** System tests that take longest begin first, so that none of them ends alone; the others follow by size. */
const LONGEST = 'api-clients run chaos faults study bad-input designs api prior'.split(' ');

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return place === -1 ? LONGEST.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** More than a machine's two cores: tests often wait for processes, or for a fault to end. */
const SYSTEM_WORKERS = 4;

/** Of `expect.poll`; `eventually` waits as long (common/testing/eventually.ts). */
const expectOptions = { poll: { timeout: 180_000 } };

/** Set-up of every file. */
const setupFiles = ['common/testing/equal-bytes.ts'];

const system = {
  setupFiles,
  expect: expectOptions,
  globalSetup: ['test/support/suite-folder.ts'],
  testTimeout: 900_000, // what takes a minute alone takes five beside other work
  hookTimeout: 1_200_000, // hooks do whole runs, and wait for those that other files do
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles,
          isolate: false, // loading the same modules for every file anew would take most of the time
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
          // Examples import the package by its name; here that is the source, not what is built.
          alias: { 'ballast/tensor': new URL('tensor/index.ts', import.meta.url).pathname },
          include: [
            '{common,config,tensor,models,data,actors,services,coordinator,controller,cli,report,dashboard,bench,docs,scripts,grafana}/**/*.test.ts',
          ],
          testTimeout: 120_000, // what takes a second alone takes a minute on a busy machine
          expect: expectOptions,
          env: { BALLAST_GRAPH_CACHE: 'off', BALLAST_IMAGE_CACHE: 'off' },
        },
      },
      {
        test: {
          ...system,
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: [...ALONE, 'test/containers/**', 'test/cluster-k8s/**', 'test/webgpu/**'],
          maxWorkers: SYSTEM_WORKERS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...system,
          name: 'system-alone',
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...system,
          name: 'system-webgpu',
          include: ['test/webgpu/**/*.test.ts'],
          isolate: false, // a process that runs several files loads the driver once
          maxWorkers: SYSTEM_WORKERS,
          testTimeout: 900_000, // a step takes seconds alone, and minutes beside other work
          env: { ...softwareVulkan(), BALLAST_GRAPH_CACHE: 'off' },
          sequence: { groupOrder: 1 },
        },
      },
      { test: { ...system, name: 'containers', include: ['test/containers/**/*.test.ts'] } },
      {
        test: {
          ...system,
          name: 'e2e',
          include: ['test/cluster-k8s/**/*.test.ts'],
          fileParallelism: false, // one API server at a time
        },
      },
    ],
  },
});
