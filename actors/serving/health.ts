/** gRPC health checking (grpc.health.v1, as the gRPC health-checking protocol defines it), for probes and load balancers. */

import type * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { whenAborted } from '../../common/abort.ts';
import { methodsOf } from '../proto/proto-root.ts';
import type { Service } from '../proto/protos.ts';
import { CallError } from '../base/call-errors.ts';
import type { Dispatcher } from '../calls/dispatcher.ts';
import type { CallContext } from '../calls/call.ts';
import type { ServiceServer } from './server.ts';

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

/** The standard health service. */
export function healthService(): Service<HealthClient, unknown> {
  const root = protobuf.Root.fromJSON(DESCRIPTOR as unknown as protobuf.INamespace);
  return { name: SERVICE, root: () => root, methods: methodsOf(root, SERVICE) };
}

/**
 * Answers SERVING for the server as a whole ('') and for each service that `isServed` accepts, while the server runs.
 */
export function addHealth(
  server: ServiceServer,
  dispatcher: Dispatcher,
  isServed: (service: string) => boolean,
): void {
  const isKnown = (service: string) => service === '' || isServed(service);
  const service = healthService();
  dispatcher.addService<HealthClient, unknown>(service, {
    check({ service: name }: { service: string }) {
      if (!isKnown(name)) throw new CallError('NOT_FOUND', `no service ${name}`);
      return { status: 'SERVING' };
    },
    async *watch({ service: name }: { service: string }, { signal }: CallContext) {
      yield { status: isKnown(name) ? 'SERVING' : 'SERVICE_UNKNOWN' };
      await whenAborted(signal);
    },
  });
  server.expose(service);
}
