/**
 * One /metrics page for a node: its own metrics with those of every living actor process on it. Actors on other nodes
 * of a cluster are on those nodes' pages, so that nothing counts twice.
 */
import { Registry } from 'prom-client';
import type { Node } from '../../actors/node/node.ts';

const FETCH_TIMEOUT_MS = 2000;

type PageSource = Pick<Node, 'nodeId' | 'list' | 'registry'>;

/** A registry whose page is collected at each request. An actor that does not answer in time is left out. */
export class MergedRegistry extends Registry {
  readonly #node: () => PageSource | null;

  constructor(node: () => PageSource | null) {
    super();
    this.#node = node;
  }

  override async metrics(): Promise<string> {
    const node = this.#node();
    if (!node) return '';
    const own = (await node.list()).filter(({ nodeId }) => nodeId === node.nodeId);
    const addresses = own.flatMap(({ metricsAddress }) => metricsAddress ?? []);
    const pages = await Promise.all(addresses.map((address) => fetchPage(address)));
    return mergePages([await node.registry.metrics(), ...pages]);
  }
}

async function fetchPage(address: string): Promise<string> {
  try {
    const response = await fetch(`http://${address}/metrics`, {
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    return response.ok ? await response.text() : '';
  } catch {
    return ''; // it is ending, or starting
  }
}

/** Joins pages of Prometheus text: each metric's HELP and TYPE once, followed by the samples of every page. */
export function mergePages(pages: readonly string[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const page of pages) {
    let current: { head: string[]; samples: string[] } | undefined;
    let isKnown = false;
    for (const line of page.split('\n')) {
      const help = /^# HELP (\S+)/.exec(line);
      if (help) {
        isKnown = families.has(help[1]!);
        current = families.get(help[1]!) ?? { head: [], samples: [] };
        families.set(help[1]!, current);
      }
      if (line === '' || !current) continue;
      if (!line.startsWith('#')) current.samples.push(line);
      else if (!isKnown) current.head.push(line);
    }
  }
  return [...families.values()].flatMap(({ head, samples }) => [...head, ...samples, '']).join('\n');
}
