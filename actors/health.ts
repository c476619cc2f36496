/** gRPC health checking (grpc.health.v1, as the gRPC health-checking protocol defines it), for probes and load balancers. */

import type * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import type { Method, Service } from './protos.ts';
import { CallError } from './call-errors.ts';
import type { CallContext, ServiceServer } from './server.ts';

/** The service's methods as callers see them. */
export interface HealthClient {
  check(
    request: { service: string },
    callback: grpc.requestCallback<{ status: string }>,
  ): grpc.ClientUnaryCall;
  watch(
    request: { service: string },
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<{ status: string }>;
}

const SERVICE = 'grpc.health.v1.Health';

const DESCRIPTOR = {
  nested: {
    grpc: {
      nested: {
        health: {
          nested: {
            v1: {
              nested: {
                HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
                HealthCheckResponse: {
                  fields: { status: { type: 'ServingStatus', id: 1 } },
                  nested: {
                    ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
                  },
                },
                Health: {
                  methods: {
                    Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse' },
                    Watch: {
                      requestType: 'HealthCheckRequest',
                      responseType: 'HealthCheckResponse',
                      responseStream: true,
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};

/** Loads the standard health service. */
export function healthService(): Service<HealthClient, unknown> {
  const descriptor = DESCRIPTOR as unknown as Parameters<typeof protoLoader.fromJSON>[0];
  const definition = protoLoader.fromJSON(descriptor, { enums: String, defaults: true })[SERVICE];
  if (definition === undefined || 'format' in definition) throw new Error(`${SERVICE} did not load`);
  const { Check, Watch } = definition;
  return {
    name: SERVICE,
    methods: new Map([
      ['check', Check as Method],
      ['watch', Watch as Method],
    ]),
  };
}

/** Answers SERVING for the named services, and for the server as a whole (''), for as long as the server runs. */
export function addHealth(server: ServiceServer, serviceNames: readonly string[]): void {
  const known = new Set(['', ...serviceNames]);
  const handlers = {
    check({ service }: { service: string }) {
      if (!known.has(service)) throw new CallError('NOT_FOUND', `no service ${service}`);
      return { status: 'SERVING' };
    },
    async *watch({ service }: { service: string }, { signal }: CallContext) {
      yield { status: known.has(service) ? 'SERVING' : 'SERVICE_UNKNOWN' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  server.add(healthService(), handlers);
}
