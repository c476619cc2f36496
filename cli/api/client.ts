/** The public API of a coordinator, as the commands that call it see it, and its failures as people read them. */
import * as grpc from '@grpc/grpc-js';
import { CallError } from '../../actors/base/call-errors.ts';
import { CHANNEL_OPTIONS, plainCalls } from '../../actors/calls/channels.ts';
import type { Calls } from '../../actors/proto/protos.ts';
import { UserError } from '../../common/errors.ts';
import { plainText } from '../../common/plain-text.ts';
import { readErrorInfo } from '../../coordinator/api/errors.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import type { CoordinatorServiceClient } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { ErrorInfo__Output } from '../../gen/google/rpc/ErrorInfo.ts';
import { API_TOKEN_KEY, type ApiTarget, credentialsOf, metadataOf, nameOptionsOf } from './target.ts';
import { plainReason } from '../cluster/client.ts';

export type Api = Calls<CoordinatorServiceClient>;

/** Does `work` with the API. @throws UserError in one line when the server refuses or cannot be reached. */
export async function withApi<Value>(target: ApiTarget, work: (api: Api) => Promise<Value>): Promise<Value> {
  const options = { ...CHANNEL_OPTIONS, ...nameOptionsOf(target) };
  const client = new grpc.Client(target.address, credentialsOf(target), options);
  const connections = { client: () => client, metadata: () => metadataOf(target) };
  try {
    return await work(plainCalls(coordinatorService, connections, target.address));
  } catch (thrown) {
    throw thrown instanceof CallError ? toUserError(thrown, target.address) : thrown;
  } finally {
    client.close();
  }
}

/** The server's description of a failure, for programs; null when no coordinator answered. */
export function errorInfoOf(thrown: unknown): ErrorInfo__Output | null {
  if (!(thrown instanceof CallError) || !(thrown.cause instanceof Error)) return null;
  return readErrorInfo(thrown.cause as grpc.ServiceError);
}

/** Whether the connection or the server went away: what was asked for may be had by asking again. */
export function isLost(thrown: unknown): thrown is CallError {
  if (!(thrown instanceof CallError)) return false;
  // A connection that is cut within a message ends the call with INTERNAL, and no server's word.
  return thrown.code === 'UNAVAILABLE' || (thrown.code === 'INTERNAL' && errorInfoOf(thrown) === null);
}

function toUserError(error: CallError, address: string): UserError {
  const info = errorInfoOf(error);
  const line = info === null ? unanswered(error, address) : `${error.message}${ADVICE[info.reason] ?? ''}`;
  return new UserError(plainText(line), { cause: error });
}

const ADVICE: Readonly<Record<string, string>> = {
  TOKEN_MISSING: `: give --token-file FILE, or set ${API_TOKEN_KEY}`,
};

/** Why the coordinator did not answer. */
function unanswered(error: CallError, address: string): string {
  switch (error.code) {
    case 'UNAVAILABLE':
      return `server ${address} cannot be reached: ${plainReason(error)}`;
    case 'DEADLINE_EXCEEDED':
      return `server ${address} does not answer in time`;
    case 'UNIMPLEMENTED':
      return `server ${address} has no such API: it must be the --api-port of a \`ballast coordinator\``;
    default:
      return `server ${address}: ${error.message}`;
  }
}
