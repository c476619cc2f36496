/** A real Prometheus, where one is installed, that scrapes what a test names and judges it by rule files. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { Host } from './network.ts';

export const hasPrometheus = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
);
export const MISSING = 'skipped: no prometheus on the PATH; to have it: apt-get install prometheus';

/** Fails where promtool finds anything to say of a page of metrics. */
export function expectLintedMetrics(page: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: page,
    encoding: 'utf8',
  });
  if (status !== 0 || stdout + stderr !== '') throw new Error(`promtool check metrics: ${stdout}${stderr}`);
}

const READY_PATIENCE_MS = 180_000;

/** One series of an answer; an instant answer has one value. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: number])[];
}

export interface RuleState {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly health: string;
  readonly lastError?: string;
  /** Of an alert. */
  readonly state?: 'inactive' | 'pending' | 'firing';
}

export interface ScrapeTarget {
  readonly job: string;
  /** host:port, whose /metrics is read. */
  readonly address: string;
}

export interface PrometheusOptions {
  /** Gets its configuration and its data. */
  readonly folder: string;
  readonly targets: readonly ScrapeTarget[];
  readonly ruleFiles: readonly string[];
  /** More jobs, as its configuration has them. */
  readonly scrapeConfigs?: readonly object[];
  /** A machine of a test network to run on, at port 9090; by default this one, at any port. */
  readonly host?: Host;
}

/** The configuration that `startPrometheus` gives it. */
export function prometheusConfig({
  targets,
  ruleFiles,
  scrapeConfigs = [],
}: Omit<PrometheusOptions, 'folder' | 'host'>): string {
  const jobs = [...new Set(targets.map(({ job }) => job))].map((job) => ({
    job_name: job,
    static_configs: [{ targets: targets.filter((each) => each.job === job).map(({ address }) => address) }],
  }));
  return stringify({
    global: { scrape_interval: '2s', scrape_timeout: '2s', evaluation_interval: '2s' },
    rule_files: ruleFiles,
    scrape_configs: [...jobs, ...scrapeConfigs],
  });
}

export class Prometheus {
  readonly url: string;
  readonly configFile: string;
  readonly #child: ChildProcess;

  private constructor(url: string, configFile: string, child: ChildProcess) {
    this.url = url;
    this.configFile = configFile;
    this.#child = child;
  }

  /** Starts one; resolves when it answers. It scrapes, and evaluates rules, every two seconds. */
  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const configFile = join(options.folder, 'prometheus.yaml');
    writeFileSync(configFile, prometheusConfig(options));
    const { host } = options;
    const words = [
      ...[...(host?.enter ?? []), 'prometheus', `--config.file=${configFile}`],
      `--storage.tsdb.path=${join(options.folder, 'data')}`,
      `--web.listen-address=${host === undefined ? '127.0.0.1:0' : `${host.address}:9090`}`,
    ];
    const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    const listens = new Promise<string>((resolve, reject) => {
      child.stderr.on('data', (text: Buffer) => {
        output += text.toString();
        const [, address] = /"Listening on" address=(\S+)/.exec(output) ?? [];
        if (address !== undefined) resolve(address);
      });
      child.once('exit', () => reject(new Error(`Prometheus did not start\n${output}`)));
    });
    const prometheus = new Prometheus(`http://${await listens}`, configFile, child);
    const deadline = performance.now() + READY_PATIENCE_MS;
    while (!(await isReady(prometheus.url))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        await prometheus.stop();
        throw new Error(`Prometheus did not start\n${output}`);
      }
      await delay(50);
    }
    return prometheus;
  }

  /** The answer to an instant query, now. @throws Error with Prometheus's own words for what it refuses. */
  async query(expr: string): Promise<Series[]> {
    const { resultType, result } = await this.#ask<Answer>('query', { query: expr });
    if (resultType === 'scalar') return [{ metric: {}, values: [toPoint(result as unknown as RawPoint)] }];
    return result.map(({ metric, value }) => ({ metric, values: [toPoint(value!)] }));
  }

  /** The answer over the last `seconds`, at every second. */
  async queryRange(expr: string, seconds: number, stepSeconds = 1): Promise<Series[]> {
    const end = Date.now() / 1000;
    const { result } = await this.#ask<Answer>('query_range', {
      query: expr,
      start: String(end - seconds),
      end: String(end),
      step: String(stepSeconds),
    });
    return result.map(({ metric, values }) => ({ metric, values: values!.map(toPoint) }));
  }

  async rules(): Promise<RuleState[]> {
    const { groups } = await this.#ask<{ groups: { rules: RuleState[] }[] }>('rules', {});
    return groups.flatMap(({ rules }) => rules);
  }

  /** Names of every metric whose TYPE a target told, with or without samples. */
  async metricNames(): Promise<Set<string>> {
    return new Set(Object.keys(await this.#ask<Record<string, unknown>>('metadata', {})));
  }

  /** Ends it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }

  async #ask<Data>(what: string, parameters: Record<string, string>): Promise<Data> {
    const query = new URLSearchParams(parameters);
    const response = await fetch(`${this.url}/api/v1/${what}?${query.toString()}`);
    const answer = (await response.json()) as { status: string; error?: string; data: Data };
    if (answer.status !== 'success')
      throw new Error(`${answer.error ?? 'no answer'}: ${parameters['query'] ?? what}`);
    return answer.data;
  }
}

type RawPoint = readonly [number, string];

interface Answer {
  readonly resultType: 'vector' | 'matrix' | 'scalar' | 'string';
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value?: RawPoint;
    readonly values?: readonly RawPoint[];
  }[];
}

function toPoint([seconds, value]: RawPoint): readonly [number, number] {
  return [seconds, value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value)];
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Serves texts as exporters serve their pages, by host:port each. */
export async function servePages(
  pages: Readonly<Record<string, string>>,
): Promise<{ addresses: ReadonlyMap<string, string>; close(): Promise<void> }> {
  const servers: Server[] = [];
  const addresses = new Map<string, string>();
  for (const [name, text] of Object.entries(pages)) {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    addresses.set(name, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  return {
    addresses,
    async close() {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
