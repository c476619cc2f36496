/** Why a server cannot listen where it should, as its user can mend it. */
import { toError, UserError } from './errors.ts';

/** The error to throw when listening failed: a `UserError` where another port or host helps, else `thrown` itself. */
export function listenFailure(host: string, port: number, thrown: unknown): unknown {
  const { message } = toError(thrown); // gRPC's has no code, but the system's words
  const at = `Port ${port} on ${host}`;
  if (message.includes('EADDRINUSE'))
    return new UserError(`${at} is in use: choose another port, or 0 for any free one.`, {
      cause: thrown,
    });
  if (message.includes('EACCES'))
    return new UserError(`${at} is not allowed: choose a port above 1023.`, { cause: thrown });
  if (message.includes('EADDRNOTAVAIL') || message.includes('ENOTFOUND'))
    return new UserError(`${at}: ${host} is no address of this machine.`, { cause: thrown });
  return thrown;
}
