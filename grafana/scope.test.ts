import { expect, it } from 'vitest';
import { withMatchers } from './scope.ts';

it.each([
  ['sum(ballast_runs)', 'sum(ballast_runs{n="a"})'],
  ['ballast_runs{state="failed"} offset 15m', 'ballast_runs{n="a",state="failed"} offset 15m'],
  ['rate(ballast_calls_total[$__rate_interval])', 'rate(ballast_calls_total{n="a"}[$__rate_interval])'],
  ['method:ballast_calls:failed_ratio5m > 1', 'method:ballast_calls:failed_ratio5m{n="a"} > 1'],
  ['up{job=~".*ballast.*"} == 0', 'up{n="a",job=~".*ballast.*"} == 0'],
  [
    'count by (version, node_version) (process_start_time_seconds)',
    'count by (version, node_version) (process_start_time_seconds{n="a"})',
  ],
  ['DCGM_FI_DEV_GPU_TEMP > 85', 'DCGM_FI_DEV_GPU_TEMP > 85'],
])('scopes %s', (expr, scoped) => expect(withMatchers(expr, 'n="a"')).toBe(scoped));
