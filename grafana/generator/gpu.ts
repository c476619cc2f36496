/**
 * Graphics cards, by NVIDIA's DCGM exporter with its `dcp-metrics-included.csv` (the default of its Helm chart). A MIG
 * slice has GPU_I_ID and GPU_I_PROFILE; utilisation as reported by nvidia-smi (DCGM_FI_DEV_GPU_UTIL) does not exist
 * there, so the active share of the graphics engine is used instead.
 */
import { type Dashboard, type Variable } from './panels.ts';

const HOST: Variable = {
  name: 'node',
  label: 'Node',
  query: 'label_values(DCGM_FI_DEV_GPU_TEMP, Hostname)',
  all: '.*',
};
const N = 'Hostname=~"$node"';
const CARD = '{{Hostname}} gpu {{gpu}} {{GPU_I_PROFILE}} {{GPU_I_ID}}';
const SHARE = { unit: 'percentunit', min: 0, max: 1 } as const;

export const gpu: Dashboard = {
  name: 'gpu',
  title: 'GPU',
  description: 'Cards and MIG slices, as the DCGM exporter sees them, and their use by Ballast.',
  variables: [HOST],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Cards',
          description: 'Cards that the exporter sees; MIG slices of one count as one.',
          unit: 'none',
          width: 4,
          queries: [
            { expr: `count(count by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP{${N}}))`, legend: 'cards' },
          ],
        },
        {
          kind: 'stat',
          title: 'Assigned to actors',
          description: 'Cards or slices in use by actors of Ballast, out of those that its nodes offer.',
          unit: 'percentunit',
          width: 4,
          queries: [
            {
              expr: '1 - sum(ballast_node_free{resource="gpu"}) / sum(ballast_node_capacity{resource="gpu"})',
              legend: 'taken',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Mean engine activity',
          description:
            'Share of time in which the engines computed, mean of all cards. Low with a backlog is money lost (BallastGpuIdle).',
          unit: 'percentunit',
          width: 4,
          queries: [{ expr: `avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE{${N}})`, legend: 'active' }],
        },
        {
          kind: 'stat',
          title: 'Hottest card',
          description: 'Above 85 °C cards slow down (BallastGpuHot).',
          unit: 'celsius',
          width: 4,
          queries: [{ expr: `max(DCGM_FI_DEV_GPU_TEMP{${N}})`, legend: 'temperature' }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 75, color: 'orange' },
            { from: 85, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Cards with an Xid error',
          description:
            'Cards whose last Xid error is not 0. The number of the error says what to do (BallastGpuXidError).',
          unit: 'none',
          width: 4,
          queries: [{ expr: `count(DCGM_FI_DEV_XID_ERRORS{${N}} > 0) or vector(0)`, legend: 'cards' }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 1, color: 'red' },
          ],
        },
        {
          kind: 'stat',
          title: 'Power',
          description: 'The sum over all cards.',
          unit: 'watt',
          width: 4,
          queries: [{ expr: `sum(DCGM_FI_DEV_POWER_USAGE{${N}})`, legend: 'power' }],
        },
      ],
    },
    {
      title: 'Use',
      panels: [
        {
          kind: 'timeseries',
          title: 'Engine activity',
          description: 'Share of time with any work on the card or slice.',
          ...SHARE,
          queries: [{ expr: `DCGM_FI_PROF_GR_ENGINE_ACTIVE{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Tensor cores',
          description:
            'Share of cycles in which tensor cores worked. Near zero while the engine is active: the graphs do not use them.',
          ...SHARE,
          queries: [{ expr: `DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Memory bandwidth',
          description:
            'Share of cycles in which memory was read or written. Near one: memory is the limit, not arithmetic.',
          ...SHARE,
          queries: [{ expr: `DCGM_FI_PROF_DRAM_ACTIVE{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Memory used',
          description: 'Share of the card’s or slice’s memory. Above 95%: BallastGpuMemoryNearFull.',
          ...SHARE,
          queries: [
            {
              expr: `DCGM_FI_DEV_FB_USED{${N}} / (DCGM_FI_DEV_FB_USED{${N}} + DCGM_FI_DEV_FB_FREE{${N}})`,
              legend: CARD,
            },
          ],
          thresholds: [
            { from: null, color: 'green' },
            { from: 0.95, color: 'red' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'PCIe traffic',
          description:
            'Bytes per second to and from the card. High with low activity: data is moved more than computed on.',
          unit: 'Bps',
          min: 0,
          queries: [
            { expr: `DCGM_FI_PROF_PCIE_TX_BYTES{${N}}`, legend: `from ${CARD}` },
            { expr: `DCGM_FI_PROF_PCIE_RX_BYTES{${N}}`, legend: `to ${CARD}` },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Images per second and card',
          description:
            'Images of all diffusion workers, divided by the cards that the exporter sees. Compare it after an upgrade.',
          unit: 'cps',
          min: 0,
          queries: [
            {
              expr: 'sum(rate(ballast_worker_images_total[5m])) / count(count by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP))',
              legend: 'images per second and card',
            },
          ],
        },
      ],
    },
    {
      title: 'Health',
      panels: [
        {
          kind: 'timeseries',
          title: 'Temperature',
          description: 'Of the GPU. Above 85 °C it slows down: BallastGpuHot.',
          unit: 'celsius',
          queries: [{ expr: `DCGM_FI_DEV_GPU_TEMP{${N}}`, legend: CARD }],
          thresholds: [
            { from: null, color: 'green' },
            { from: 85, color: 'red' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Temperature of the memory',
          description: 'Where the card measures it; 0 where it does not.',
          unit: 'celsius',
          queries: [{ expr: `DCGM_FI_DEV_MEMORY_TEMP{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Power',
          description: 'A card that stays at its limit is throttled: its clock falls.',
          unit: 'watt',
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_POWER_USAGE{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Clock',
          description:
            'Of the streaming multiprocessors. It falls when the card is idle, hot or at its power limit.',
          unit: 'hertz',
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_SM_CLOCK{${N}} * 1e6`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Last Xid error',
          description:
            'Number of the driver’s last error, 0 for none: 48, 63, 64, 94, 95 memory; 74 NVLink; 79 fell off the bus; 13, 31, 43 a program’s fault.',
          unit: 'none',
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_XID_ERRORS{${N}}`, legend: CARD }],
        },
        {
          kind: 'timeseries',
          title: 'Memory rows and links',
          description:
            'Rows remapped because of errors that could not be corrected, and PCIe retries, in the last hour.',
          unit: 'short',
          min: 0,
          queries: [
            { expr: `increase(DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{${N}}[1h])`, legend: `rows ${CARD}` },
            { expr: `increase(DCGM_FI_DEV_PCIE_REPLAY_COUNTER{${N}}[1h])`, legend: `retries ${CARD}` },
          ],
        },
      ],
    },
  ],
};
