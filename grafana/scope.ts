/**
 * Matchers added to every selector of a metric that pods of Ballast, or its NATS server, export: queries of an installation
 * do not see another one's series. Metrics of others (DCGM, KEDA) stay as they are.
 */

/** A metric's name, ours or a recording rule's of it, with the brace of its matchers if it has any. */
const SELECTOR = /(?<![\w:"$])((?:\w+:)?(?:ballast|nodejs|process|nats)_[\w:]*|up)\b(\{)?/g;

/** `expr` may hold Grafana's variables. `matchers` as `namespace="a",installation="b"`. */
export function withMatchers(expr: string, matchers: string): string {
  return expr.replaceAll(SELECTOR, (_whole, metric: string, brace?: string) =>
    brace === undefined ? `${metric}{${matchers}}` : `${metric}{${matchers},`,
  );
}
