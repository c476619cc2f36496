/** Metrics of the public API. */
import { Counter, Histogram, type Registry } from 'prom-client';

const BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600];

export class ApiMetrics {
  readonly #requests: Counter<'method' | 'code'>;
  readonly #seconds: Histogram<'method'>;
  readonly #limited: Counter<'token'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: 'ballast_api_requests_total',
      help: 'Calls of the public API that ended, by method and gRPC code',
      labelNames: ['method', 'code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ballast_api_request_seconds',
      help: 'Time that calls of the public API took',
      labelNames: ['method'],
      buckets: BUCKETS_S,
      registers,
    });
    this.#limited = new Counter({
      name: 'ballast_api_rate_limited_total',
      help: 'Calls refused because a token called too often, by its name',
      labelNames: ['token'],
      registers,
    });
  }

  begin(method: string): { end(code: string): void } {
    const seconds = this.#seconds.startTimer({ method });
    return {
      end: (code) => {
        seconds();
        this.#requests.inc({ method, code });
      },
    };
  }

  rateLimited(token: string): void {
    this.#limited.inc({ token });
  }
}
