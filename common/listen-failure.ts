/** Explains to the user why a server cannot listen. */
import { toError, UserError } from './errors.ts';

/** The error to throw when listening failed: a `UserError` if another port or host helps, otherwise `thrown` itself. */
export function listenFailure(host: string, port: number, thrown: unknown): unknown {
  const { message } = toError(thrown); // gRPC's error has no code, but contains the system's words
  const at = `Port ${port} on ${host}`;
  if (message.includes('EADDRINUSE'))
    return new UserError(`${at} is in use: choose another port, or 0 for any free one.`, {
      cause: thrown,
    });
  if (message.includes('EACCES'))
    return new UserError(`${at} is not allowed: choose a port above 1023.`, { cause: thrown });
  if (message.includes('EADDRNOTAVAIL') || message.includes('ENOTFOUND'))
    return new UserError(`${at}: ${host} is not an address of this machine.`, { cause: thrown });
  return thrown;
}
