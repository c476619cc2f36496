/** How many bytes a message takes on the wire. */
import { loadMessage } from '../../actors/proto/protos.ts';

/** Of messages of the public API, by name, as `Run`. */
export function sizeOf<Message extends object>(name: string): (message: Message) => number {
  const codec = loadMessage<Message, unknown>('ballast/v1/coordinator.proto', `ballast.v1.${name}`);
  return (message) => codec.serialize(message).length;
}
