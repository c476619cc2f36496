"""Ray, asked for one thing at a time: a JSON object a line in, one out. The actors are those of bench/call-actor.ts."""

import json
import sys
import time

try:
    from ray_settings import init, ray
except ImportError as error:
    sys.stdin.readline()
    print(json.dumps({"missing": str(error)}), flush=True)
    sys.exit()

import numpy

SMALL = bytes([7]) * 8
PUTS = 100


def work_for(seconds, size, batch):
    start = time.perf_counter()
    count = 0
    while True:
        batch()
        count += size
        passed = time.perf_counter() - start
        if passed >= seconds:
            return {"count": count, "seconds": passed}


def call_for(actors, in_flight, seconds, value=None):
    arguments = () if value is None else (value,)
    if in_flight == 1:
        return work_for(seconds, 1, lambda: ray.get(actors[0].call.remote(*arguments)))
    return work_for(
        seconds,
        in_flight,
        lambda: ray.get([actors[i % len(actors)].call.remote(*arguments) for i in range(in_flight)]),
    )


@ray.remote(num_cpus=0)
class Actor:
    def call(self, value=b""):
        return b"ok"

    def calls(self, actors, in_flight, seconds):
        return call_for(actors, in_flight, seconds)

    def put(self, seconds):
        def batch():
            refs = [ray.put(SMALL) for _ in range(PUTS)]
            del refs

        return work_for(seconds, PUTS, batch)

    def get(self, seconds):
        ref = ray.put(SMALL)
        return work_for(seconds, 1, lambda: ray.get(ref))

    def read(self, refs):
        """Touches one byte of every page."""
        array = ray.get(refs[0])
        start = time.perf_counter()
        int(array[::4096].sum())
        return time.perf_counter() - start


class Peer:
    def __init__(self, cpus):
        init(cpus)
        self.actors = []

    def grow(self, count):
        while len(self.actors) < count:
            self.actors.append(Actor.remote())
        ray.get([actor.call.remote() for actor in self.actors])
        return self.actors[:count]

    def calls(self, actors, inFlight, seconds, bytes=None):
        return call_for(self.grow(actors), inFlight, seconds, None if bytes is None else b"\7" * bytes)

    def clientCalls(self, clients, actors, inFlight, seconds):
        every = self.grow(clients + actors)
        callers, called = every[:clients], every[clients:]
        return ray.get([caller.calls.remote(called, inFlight, seconds) for caller in callers])

    def put(self, seconds):
        return ray.get(self.grow(1)[0].put.remote(seconds))

    def get(self, seconds):
        return ray.get(self.grow(1)[0].get.remote(seconds))

    def create(self, count):
        start = time.perf_counter()
        made = [Actor.remote() for _ in range(count)]
        ray.get([actor.call.remote() for actor in made])
        seconds = time.perf_counter() - start
        for actor in made:
            ray.kill(actor)
        return {"count": count, "seconds": seconds}

    def putAndRead(self, sizeBytes):
        (reader,) = self.grow(1)
        array = numpy.full(sizeBytes, 7, numpy.uint8)
        start = time.perf_counter()
        ref = ray.put(array)
        put = time.perf_counter() - start
        ray.get(reader.read.remote([ref]))
        return {"put": put, "both": time.perf_counter() - start}


def main():
    # Ray's warnings go to standard output too; only answers belong there.
    answers, sys.stdout = sys.stdout, sys.stderr
    peer = None
    for line in sys.stdin:
        request = json.loads(line)
        if "version" in request:
            answer = {"version": ray.__version__}
        else:
            peer = peer or Peer(request["cpus"])
            answer = getattr(peer, request["run"])(**request["with"])
        print(json.dumps(answer if isinstance(answer, dict) else {"results": answer}), file=answers, flush=True)


main()
