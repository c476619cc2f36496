import { expect, it } from 'vitest';
import { CallMetrics, createRegistry, serveMetrics } from './metrics.ts';

it('serves the registry, and names the port when it is in use', async () => {
  const registry = createRegistry({ actor: 'a' });
  new CallMetrics(registry).observe('x/Y', 'OK', 0.003);
  const server = await serveMetrics(registry);
  try {
    const response = await fetch(`http://${server.address}/metrics`);
    const text = await response.text();
    expect(text).toContain('ballast_calls_total{method="x/Y",code="OK",actor="a"} 1');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect((await fetch(`http://${server.address}/`)).status).toBe(404);
    const port = Number(server.address.split(':')[1]);
    await expect(serveMetrics(registry, { port })).rejects.toMatchObject({ name: 'UserError' });
    await expect(serveMetrics(registry, { port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
  } finally {
    await server.close();
  }
});
