/** Probes of a container, asked as the kubelet asks them: startup first, then readiness and liveness until the container ends. */
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Container, V1Probe } from '@kubernetes/client-node';
import { grpcHealth } from '../../support/k8s/local-process.ts';

export interface ProbeListener {
  readonly onStarted: () => void;
  readonly onReady: (isReady: boolean) => void;
  /** It must be killed: a startup or liveness probe has failed too often. */
  readonly onDead: (why: string) => void;
}

/** Resolves at `signal`, or when the container must be killed. `execute` runs a command inside and gives its exit code. */
export async function probe(
  container: V1Container,
  address: string,
  execute: (command: readonly string[]) => Promise<number | null>,
  { onStarted, onReady, onDead }: ProbeListener,
  signal: AbortSignal,
): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = container;
  const ask = (which: V1Probe) => problemOf(which, container, address, execute);
  if (startupProbe !== undefined && !(await passes(startupProbe, ask, signal)))
    return signal.aborted ? undefined : onDead('its startup probe fails');
  onStarted();
  if (readinessProbe === undefined) onReady(true);
  const ready = readinessProbe && repeat(readinessProbe, ask, signal, onReady);
  const alive =
    livenessProbe &&
    repeat(livenessProbe, ask, signal, (isAlive) => {
      if (!isAlive) onDead('its liveness probe fails');
    });
  await Promise.all([ready, alive]);
}

type Ask = (probe: V1Probe) => Promise<string | null>;

async function passes(which: V1Probe, ask: Ask, signal: AbortSignal): Promise<boolean> {
  const { failureThreshold = 3, periodSeconds = 10 } = which;
  for (let failures = 0; failures < failureThreshold && !signal.aborted; failures++) {
    if ((await ask(which)) === null) return true;
    await pause(periodSeconds, signal);
  }
  return false;
}

/** Tells each change; a failure counts when it has been repeated `failureThreshold` times. */
async function repeat(
  which: V1Probe,
  ask: Ask,
  signal: AbortSignal,
  onChange: (isWell: boolean) => void,
): Promise<void> {
  const { failureThreshold = 3, periodSeconds = 10 } = which;
  let failures = 0;
  while (!signal.aborted) {
    failures = (await ask(which)) === null ? 0 : failures + 1;
    if (signal.aborted) return;
    if (failures === 0) onChange(true);
    if (failures >= failureThreshold) onChange(false);
    await pause(periodSeconds, signal);
  }
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
}

/** Null when the probe passes. */
async function problemOf(
  { grpc, httpGet, exec, timeoutSeconds = 1 }: V1Probe,
  container: V1Container,
  address: string,
  execute: (command: readonly string[]) => Promise<number | null>,
): Promise<string | null> {
  const timeoutMs = timeoutSeconds * 1000;
  if (grpc !== undefined) return grpcHealth(`${address}:${grpc.port}`, grpc.service ?? '', timeoutMs);
  if (exec !== undefined) return (await execute(exec.command ?? [])) === 0 ? null : 'the command fails';
  if (httpGet === undefined) throw new Error(`a probe of ${container.name} is of no known kind`);
  const named = container.ports?.find(({ name }) => name === httpGet.port)?.containerPort;
  try {
    const url = `http://${address}:${named ?? httpGet.port}${httpGet.path ?? '/'}`;
    const { status } = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return status < 400 ? null : `it answers ${status}`;
  } catch (thrown) {
    return String(thrown);
  }
}
