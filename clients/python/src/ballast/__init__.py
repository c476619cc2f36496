"""Client of a Ballast coordinator (https://google.aip.dev style gRPC API, docs/api.md of the project).

    from ballast import Client

    with Client("127.0.0.1:4800") as client:
        run = client.create_run({"method": "iois", "data": {"source": "photos"}}, run_id="photos")
        for event in client.watch(run):
            print(event.sequence, event.WhichOneof("event"))

`AsyncClient` has the same methods for asyncio.
"""

from ._errors import BallastError
from ._sync import Client
from .aio import AsyncClient

__all__ = ["AsyncClient", "BallastError", "Client"]
