// Follows a run on NATS from its first event until it ends: node subscribe.mjs nats://127.0.0.1:4222 STREAM `ballast
// run --nats` and `ballast coordinator` print the name of the stream. docs/events.md has topics and payloads.
import { AckPolicy, connect, JSONCodec, nanos } from 'nats';

const [url, stream] = process.argv.slice(2);
const connection = await connect({ servers: url });
const jetstream = connection.jetstream();
const { config } = await (await connection.jetstreamManager()).streams.info(stream);
const prefix = config.subjects[0].slice(0, -1); // `ballast.RUN.` of `ballast.RUN.>`

const consumer = await jetstream.consumers.get(stream, {
  ack_policy: AckPolicy.None,
  inactive_threshold: nanos(60_000),
});
const { decode } = JSONCodec();
for await (const message of await consumer.consume()) {
  const topic = message.subject.slice(prefix.length);
  const { time, payload } = decode(message.data);
  console.log(
    message.seq,
    time,
    topic,
    topic === 'epoch.finished' ? `loss ${payload.trainLoss.toFixed(3)}` : '',
  );
  // Events before `run.replaced` belong to an earlier run in the folder.
  if (topic === 'run.finished' || topic === 'run.cancelled') break;
}
await connection.close();
