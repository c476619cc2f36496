/**
 * Dashboards, rules and autoscaler queries against a real Prometheus, which scrapes a coordinator with two runs and a second
 * node while one of their workers is killed. Metrics that no exporter here serves come from recorded pages (test/fixtures/monitoring),
 * whose first lines say where they are from.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelPool } from '../actors/calls/channels.ts';
import { nodeService } from '../actors/proto/runtime-services.ts';
import { callUnary, serviceCalls } from '../actors/calls/transport.ts';
import { packageRoot } from '../common/package-root.ts';
import { eventually } from '../common/testing/eventually.ts';
import { ballastMetrics } from '../grafana/ballast-metrics.ts';
import { parseExposition } from '../grafana/exposition.ts';
import { BOUNDED_LABELS, QUIET } from '../grafana/metric-lists.ts';
import { drawDashboard } from '../grafana/preview/dashboard-page.ts';
import { readDashboards } from '../grafana/panel-files.ts';
import { fillVariables, parseQuery } from '../grafana/promql.ts';
import { allQueries } from '../grafana/queries.ts';
import { ALERTS, readRules } from '../grafana/rules.ts';
import { Cli } from './support/cli.ts';
import { startTestNode, type TestNode } from './support/cluster.ts';
import { startCoordinator, type TestCoordinator, tinyConfig, whenEvent } from './support/coordinator.ts';
import { browser, screenshot } from './support/browser.ts';
import { actorsOf } from './support/processes.ts';
import { hasPrometheus, MISSING, Prometheus, type RuleState, servePages } from './support/prometheus.ts';
import { newFolder, shapesJudge } from './support/suite.ts';

/** With BALLAST_MONITORING_SECONDS the run is watched for so long, and Chromium takes a picture of every dashboard. */
const PICTURE_SECONDS = Number(process.env['BALLAST_MONITORING_SECONDS'] ?? 0);
const WATCH_SECONDS = PICTURE_SECONDS || 24;
const VARIABLES = {
  rateInterval: '20s',
  values: { run: '.*', node: '.*', cluster: '.*', namespace: '.*', installation: '.*' },
};
/** Series of Ballast on one page that this small run may have: 2 nodes, a coordinator, a trainer, 2 workers. */
const MAX_SERIES = 1500;
const METRICS = ['--metrics-port', '0'];
const METRICS_ADDRESS = /metrics: http:\/\/(\S+)\/metrics/;
const FIXTURES = join(import.meta.dirname, 'fixtures', 'monitoring');
const PICTURES = join(packageRoot(), 'test-results', 'dashboards');

describe.skipIf(!hasPrometheus)(hasPrometheus ? 'monitoring' : `monitoring (${MISSING})`, () => {
  let node: TestNode;
  let coordinator: TestCoordinator;
  let watcher: Cli | undefined;
  let prometheus: Prometheus;
  let pages: Awaited<ReturnType<typeof servePages>>;
  const scraped: string[] = [];

  beforeAll(
    async () => {
      const folder = newFolder('monitoring');
      const prefix = `t${process.pid}-mon`;
      const own = ['--node-id', `${prefix}-first`, '--resources', 'cpu=2', ...METRICS];
      coordinator = await startCoordinator(join(folder, 'coordinator'), own);
      const [, coordinatorUrl = ''] = await coordinator.cli.waitFor(METRICS_ADDRESS);
      // The card is a number that the node offers: panels that put Ballast's share beside DCGM's cards need one.
      const more = ['--join', `grpc://${coordinator.nodeAddress}`, '--resources', 'cpu=2,gpu=1', ...METRICS];
      node = await startTestNode(folder, `${prefix}-second`, more);
      const [, nodeUrl = ''] = await node.cli.waitFor(METRICS_ADDRESS);
      const training = { epochs: 5000, batchSize: 4 };
      const config = await tinyConfig({ training, judge: await shapesJudge() });
      for (const runId of ['first', 'second']) await coordinator.api.createRun({ runId, config });
      for (const name of ['runs/first', 'runs/second'])
        await whenEvent(coordinator.api, name, (event) => event.epochFinished != null);
      const texts = Object.fromEntries(
        ['controller', 'dcgm', 'keda', 'nats'].map((name) => [
          name,
          readFileSync(join(FIXTURES, `${name}.txt`), 'utf8'),
        ]),
      );
      pages = await servePages(texts);
      prometheus = await Prometheus.start({
        folder,
        targets: [
          { job: 'ballast', address: nodeUrl },
          { job: 'ballast', address: coordinatorUrl },
          ...[...pages.addresses].map(([job, address]) => ({ job, address })),
        ],
        ruleFiles: readRules().files,
      });
      watcher = Cli.start(['events', '--follow', '--node', coordinator.nodeAddress]);
      await makeTrouble(node.address);
      await askFor((WATCH_SECONDS * 1000) / 2, coordinator);
      const worker = await findWorker(coordinator, node);
      process.kill(worker, 'SIGKILL');
      await askFor((WATCH_SECONDS * 1000) / 2, coordinator);
      for (const url of [nodeUrl, coordinatorUrl])
        scraped.push(await (await fetch(`http://${url}/metrics`)).text());
    },
    600_000 + WATCH_SECONDS * 1000, // five thousand epochs go on beside it on a busy machine
  );

  afterAll(async () => {
    await prometheus?.stop();
    await pages?.close();
    coordinator?.close();
    for (const cli of [watcher, node?.cli, coordinator?.cli]) {
      cli?.signal('SIGTERM');
      await cli?.ended;
    }
  });

  // A scrape that is late on a busy machine leaves a gap until the next one: what is missing is asked for again.

  it('scrapes every target', () =>
    eventually(async () => {
      const up = await prometheus.query('up');
      expect(up.map(({ metric, values }) => [metric['job'], values[0]![1]]).sort()).toEqual([
        ['ballast', 1],
        ['ballast', 1],
        ['controller', 1],
        ['dcgm', 1],
        ['keda', 1],
        ['nats', 1],
      ]);
    }));

  it('answers every query of panels, rules and autoscalers with data, where an exporter is here', async () => {
    for (const { where, kind, expr } of allQueries(VARIABLES)) {
      const mayBeEmpty = kind === 'alert' || isExcused(expr);
      await eventually(async () => {
        const answer = await prometheus.query(expr);
        if (!mayBeEmpty) expect(answer, `${where}: ${expr}`).not.toEqual([]);
      });
    }
  });

  it('has series of every metric that alerts ask for', async () => {
    const asked = allQueries(VARIABLES)
      .filter(({ kind }) => kind === 'alert')
      .flatMap(({ expr }) => parseQuery(expr).selectors.map(({ metric }) => metric))
      .filter((name) => !isQuiet(name));
    for (const name of new Set(asked))
      await eventually(async () => expect(await prometheus.query(name), name).not.toEqual([]));
  });

  it('includes the quiet metrics, which are quiet', async () => {
    const known = await prometheus.metricNames();
    const loud: string[] = [];
    for (const name of Object.keys(QUIET)) {
      expect(known, name).toContain(name);
      if ((await prometheus.query(`${name} or ${name}_count`)).length > 0) loud.push(name);
    }
    expect(loud).toEqual([]);
  });

  it('evaluates every rule; nothing wakes but what one worker’s death and a poor prior explain', async () => {
    const rules = await prometheus.rules();
    const { alerts, recordings } = readRules();
    expect(rules.length).toBe(alerts.length + recordings.length);
    expect(rules.filter(({ health, lastError }) => health !== 'ok' || (lastError ?? '') !== '')).toEqual([]);
    const isAwake = ({ state }: RuleState) => state === 'pending' || state === 'firing';
    const explained = ['BallastCallsFailing', 'BallastShardsRedone', 'BallastObjectTransfersFailing'];
    explained.push('BallastFidelityLow'); // 150 steps of training: the judge takes none of its squares for a square
    // A scrape that is late on a busy machine wakes an alert until the next one.
    await expect
      .poll(async () => (await prometheus.rules()).filter(isAwake).map(({ name }) => name))
      .toSatisfy((names: string[]) => names.every((name) => explained.includes(name)));
    const awake = (await prometheus.rules()).filter(isAwake);
    expect(awake.filter(({ state }) => state === 'firing')).toEqual([]);
  });

  it('exports metrics that the lists know, with labels of few values', () => {
    const samples = scraped.flatMap((text) => parseExposition(text).samples);
    const own = samples.filter(({ name }) => name.startsWith('ballast_'));
    const known = [...ballastMetrics().values()].flat().map(({ name }) => name);
    const told = scraped.flatMap((text) => [...parseExposition(text).types.keys()]);
    expect(own.some(({ labels }) => labels['folder'] === 'runs')).toBe(true);
    expect(told.filter((name) => name.startsWith('ballast_') && !known.includes(name))).toEqual([]);
    expect(own.length).toBeGreaterThan(200);
    expect(own.length).toBeLessThan(MAX_SERIES);
    for (const { name, labels } of own)
      for (const [label, value] of Object.entries(labels)) {
        if (label === 'le') continue;
        expect(BOUNDED_LABELS, name).toHaveProperty(label);
        // Ids of objects, leases and requests look like this; actors carry the short id of their run.
        if (label !== 'actor') expect(value, `${name}{${label}}`).not.toMatch(/[0-9a-f]{8}/);
      }
  });

  it('draws every dashboard with what Prometheus answers (test-results/dashboards)', async () => {
    mkdirSync(PICTURES, { recursive: true });
    const unexplained: string[] = [];
    for (const [name, dashboard] of readDashboards()) {
      const page = await drawDashboard(dashboard, prometheus, { ...VARIABLES, seconds: WATCH_SECONDS });
      const html = join(PICTURES, `${name}.html`);
      writeFileSync(html, page.html);
      if (PICTURE_SECONDS > 0 && browser !== null)
        await screenshot(browser, html, join(PICTURES, `${name}.png`), page.heightPx);
      const mayBeEmpty = dashboard.panels.filter(({ targets }) =>
        targets.every(({ expr }) => isExcused(expr)),
      );
      const titles = mayBeEmpty.map(({ title }) => title);
      unexplained.push(
        ...page.empty.filter((title) => !titles.includes(title)).map((title) => `${name} / ${title}`),
      );
    }
    expect(unexplained).toEqual([]);
    expect(readdirSync(PICTURES).filter((file) => file.endsWith('.html'))).toHaveLength(
      readDashboards().size,
    );
  });

  it('passes promtool: configuration, rules, and the cases of every alert', () => {
    const promtool = (...args: string[]) =>
      execFileSync('promtool', args, { encoding: 'utf8', stdio: 'pipe' });
    expect(promtool('check', 'config', prometheus.configFile)).toContain('SUCCESS');
    expect(promtool('check', 'rules', ...readRules().files)).not.toContain('FAILED');
    const folder = join(ALERTS, 'tests');
    const files = readdirSync(folder).map((file) => join(folder, file));
    expect(promtool('test', 'rules', ...files).match(/SUCCESS/g)).toHaveLength(files.length);
  });
});

/** Whether a panel's query may have no answer here. */
function isExcused(expr: string): boolean {
  const { selectors } = parseQuery(fillVariables(expr, VARIABLES));
  return selectors.some(({ metric }) => isQuiet(metric) || metric === 'ALERTS');
}

function isQuiet(series: string): boolean {
  return series.replace(/_(bucket|sum|count)$/, '') in QUIET || series in QUIET;
}

/** Waits, and asks the API something every half a second. */
async function askFor(ms: number, { api }: TestCoordinator): Promise<void> {
  for (const endMs = performance.now() + ms; performance.now() < endMs;) {
    await api.listRuns({});
    await delay(500);
  }
}

/** A call that its caller gives up, and one to an actor that is not there. */
async function makeTrouble(address: string): Promise<void> {
  const pool = new ChannelPool();
  const { watchNode } = serviceCalls(nodeService, pool, address);
  const call = {
    actorId: 'nobody',
    incarnation: 0,
    method: '/no/Method',
    request: new Uint8Array(),
    deadlineMs: 10_000,
  };
  try {
    for await (const change of watchNode({}, { deadlineMs: 60_000 })) if (change !== null) break;
    await expect(callUnary(pool, address, call, undefined)).rejects.toThrow('no actor nobody');
  } finally {
    pool.close();
  }
}

/** The process of a diffusion worker, wherever the cluster placed it. */
async function findWorker(coordinator: TestCoordinator, node: TestNode): Promise<number> {
  const { pid } = await coordinator.cli.poll('a worker', () =>
    [...actorsOf(node.dir), ...actorsOf(coordinator.dir)].find(({ actorId }) =>
      actorId.includes('diffusion-worker'),
    ),
  );
  return pid;
}
