/** Metrics and labels that a PromQL expression uses, read with Prometheus's own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Selector {
  readonly metric: string;
  /** Labels that its matchers name. */
  readonly labels: readonly string[];
  /** As written, without range and offset. */
  readonly text: string;
}

export interface ParsedQuery {
  readonly selectors: readonly Selector[];
  /** Labels in `by`, `without`, `on`, `ignoring` and `group_left`. */
  readonly grouping: readonly string[];
  /** Labels that `label_replace` makes. */
  readonly made: readonly string[];
}

/** Grafana's variables replaced by values, as Grafana does before it asks. */
export function fillVariables(
  expr: string,
  {
    rateInterval,
    values,
  }: { readonly rateInterval: string; readonly values: Readonly<Record<string, string>> },
): string {
  return expr.replaceAll(/\$\{?(\w+)\}?/g, (whole, name: string) => {
    if (name === '__rate_interval') return rateInterval;
    return values[name] ?? whole;
  });
}

/** @throws Error if it is not PromQL; `expr` no longer has variables. */
export function parseQuery(expr: string): ParsedQuery {
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  const made: string[] = [];
  const text = ({ from, to }: { readonly from: number; readonly to: number }) => expr.slice(from, to);
  parser.parse(expr).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expr}`);
      if (node.name === 'VectorSelector') {
        const metric = node.node.getChild('Identifier');
        const matchers = node.node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
        const labels = matchers.map((matcher) => text(matcher.getChild('LabelName')!));
        if (metric === null) throw new Error(`a selector without a metric: ${expr}`);
        selectors.push({ metric: text(metric), labels, text: text(node) });
      }
      if (node.name === 'FunctionCall' && text(node).startsWith('label_replace')) {
        const [label] = node.node.getChild('FunctionCallBody')?.getChildren('StringLiteral') ?? [];
        if (label !== undefined) made.push(text(label).slice(1, -1));
      }
      if (node.name === 'GroupingLabels')
        grouping.push(...node.node.getChildren('LabelName').map((label) => text(label)));
    },
  });
  return { selectors, grouping, made };
}
