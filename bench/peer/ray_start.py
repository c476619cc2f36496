"""A fresh Ray that starts, makes an actor and calls it: prints a line when it is ready, another when it is answered."""

import sys

from ray_settings import init, ray

init(int(sys.argv[1]))
print("ready", flush=True)


@ray.remote(num_cpus=0)
class Actor:
    def call(self):
        return b"ok"


ray.get(Actor.remote().call.remote())
print("answered", flush=True)
ray.shutdown()
