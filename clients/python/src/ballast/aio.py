"""The client for asyncio: the methods of `Client`, awaited; streams are asynchronous iterators."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, List, Mapping, Optional, Sequence, Type, Union

import grpc
import grpc.aio

from . import _requests as requests
from ._data import predictions_frame, stack_images
from ._errors import BallastError, to_error
from ._requests import RunLike, run_name
from .v1 import coordinator_pb2 as api
from .v1 import coordinator_pb2_grpc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class AsyncClient:
    """The API of a coordinator. Methods raise `BallastError`; streams resume where a lost connection broke them."""

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        token: Optional[str] = None,
        token_file: Union[None, str, "os.PathLike[str]"] = None,
    ) -> None:
        """Like `Client`; create it inside a running loop."""
        target = requests.target_of(address, token, token_file)
        self._metadata = target.metadata
        if target.credentials is None:
            self._channel = grpc.aio.insecure_channel(target.address)
        else:
            self._channel = grpc.aio.secure_channel(target.address, target.credentials, list(target.options))
        self._stub: Any = coordinator_pb2_grpc.CoordinatorServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close(None)

    async def create_run(
        self,
        config: Mapping[str, Any],
        *,
        run_id: str = "",
        weight: float = 0,
        labels: Optional[Mapping[str, str]] = None,
        request_id: Optional[str] = None,
    ) -> api.Run:
        """Creates a run. `config` is described in docs/configuration.md; its paths are the server's."""
        request = requests.create_request(config, run_id, weight, labels, request_id)
        run: api.Run = await self._again(lambda: self._unary("CreateRun", request))
        return run

    async def get_run(self, run: RunLike, *, fields: Optional[Sequence[str]] = None) -> api.Run:
        """The present state of a run; `fields` (as `["state", "test.accuracy"]`) selects fields."""
        request = api.GetRunRequest(name=run_name(run), read_mask=requests.mask_of(fields))
        found: api.Run = await self._again(lambda: self._unary("GetRun", request))
        return found

    async def list_runs(
        self, filter: str = "", *, order_by: str = "", fields: Optional[Sequence[str]] = None, page_size: int = 100
    ) -> AsyncIterator[api.Run]:
        """Runs that match a filter, as `state = RUNNING AND test.balanced_accuracy > 0.7`; all by default."""
        token = ""
        while True:
            request = requests.list_request(filter, order_by, fields, page_size, token)
            page: api.ListRunsResponse = await self._again(lambda: self._unary("ListRuns", request))
            for run in page.runs:
                yield run
            token = page.next_page_token
            if not token:
                return

    async def watch(
        self, run: RunLike, *, from_sequence: int = 1, progress: bool = False
    ) -> AsyncIterator[api.RunEvent]:
        """The events of a run, from one on (0: only future events), until it ends."""
        following = from_sequence
        patience = requests.Patience()
        while True:
            request = api.WatchRunRequest(name=run_name(run), from_sequence=following, include_progress=progress)
            try:
                async for event in self._stream("WatchRun", request):
                    patience.heard()
                    if event.sequence > 0:
                        following = event.sequence + 1
                    yield event
                return
            except BallastError as error:
                await asyncio.sleep(patience.wait_after(error))

    async def wait(self, run: RunLike) -> api.Run:
        """Waits until a run has ended."""
        async for _ in self.watch(run):
            pass
        return await self.get_run(run)

    async def cancel_run(self, run: RunLike) -> api.Run:
        """Stops a run; its complete epochs are kept."""
        request = api.CancelRunRequest(name=run_name(run))
        stopped: api.Run = await self._unary("CancelRun", request, requests.CANCEL_TIMEOUT_S)
        return stopped

    async def resume_run(self, run: RunLike, *, request_id: Optional[str] = None) -> api.Run:
        """Queues a cancelled or failed run again."""
        wish = requests.new_id() if request_id is None else request_id
        request = api.ResumeRunRequest(name=run_name(run), request_id=wish)
        resumed: api.Run = await self._again(lambda: self._unary("ResumeRun", request))
        return resumed

    async def delete_run(self, run: RunLike, *, allow_missing: bool = False) -> None:
        """Deletes a run that has ended, with all its results."""
        await self._unary("DeleteRun", api.DeleteRunRequest(name=run_name(run), allow_missing=allow_missing))

    async def epoch(self, run: RunLike, number: int) -> api.Epoch:
        """One complete epoch."""
        request = api.GetEpochRequest(name=f"{run_name(run)}/epochs/{number}")
        epoch: api.Epoch = await self._again(lambda: self._unary("GetEpoch", request))
        return epoch

    async def model(
        self, run: RunLike, path: Optional["os.PathLike[str]"] = None, *, format: str = "safetensors"
    ) -> bytes:
        """The classifier of a finished run, as `safetensors` or `onnx`; also written to `path` if one is given."""
        kind = requests.choice(requests.FORMATS, format, "format")
        content = await self._download(
            "GetModel", lambda offset: api.GetModelRequest(name=run_name(run), format=kind, offset=offset)
        )
        if path is not None:
            requests.write_whole(path, content)
        return content

    async def predictions_csv(self, run: RunLike, split: str = "test") -> bytes:
        """The predictions of a finished run's classifier for each `test` or `validation` image, as CSV."""
        kind = requests.choice(requests.SPLITS, split, "split")
        return await self._download(
            "GetPredictions", lambda offset: api.GetPredictionsRequest(name=run_name(run), split=kind, offset=offset)
        )

    async def predictions(self, run: RunLike, split: str = "test") -> "pd.DataFrame":
        """The same as a frame."""
        return predictions_frame(await self.predictions_csv(run, split))

    async def list_images(
        self, run: RunLike, *, epoch: Optional[int] = None, class_name: str = ""
    ) -> AsyncIterator[api.Image]:
        """The images that a run kept, without pixels."""
        token = ""
        while True:
            parent = requests.image_parent(run, epoch)
            request = api.ListImagesRequest(parent=parent, class_name=class_name, page_token=token)
            page: api.ListImagesResponse = await self._again(lambda: self._unary("ListImages", request))
            for image in page.images:
                yield image
            token = page.next_page_token
            if not token:
                return

    async def images(
        self, run: RunLike, *, epoch: Optional[int] = None, class_name: str = ""
    ) -> "npt.NDArray[np.uint8]":
        """The same with pixels: [n, height, width, channels], 0 to 255."""
        names = [image.name async for image in self.list_images(run, epoch=epoch, class_name=class_name)]
        pngs: List[bytes] = []
        for batch in requests.batches(names):
            pngs += [image.png async for image in self._stream("GetImages", api.GetImagesRequest(names=batch))]
        return stack_images(pngs)

    async def synthesize_png(
        self, run: RunLike, class_name: str, count: int, *, seed: int = 0, guidance_scale: Optional[float] = None
    ) -> AsyncIterator[bytes]:
        """New images of a class as PNG files, as they are made. Equal arguments give equal images."""
        request = api.SynthesizeRequest(
            run=run_name(run), class_name=class_name, count=count, seed=seed, guidance_scale=guidance_scale
        )
        async for image in self._stream("Synthesize", request):
            yield image.png

    async def synthesize(
        self, run: RunLike, class_name: str, count: int, *, seed: int = 0, guidance_scale: Optional[float] = None
    ) -> "npt.NDArray[np.uint8]":
        """The same as an array [n, height, width, channels], 0 to 255."""
        images = self.synthesize_png(run, class_name, count, seed=seed, guidance_scale=guidance_scale)
        return stack_images([png async for png in images])

    async def list_actors(self) -> List[api.Actor]:
        """The actors of the cluster."""
        page: api.ListActorsResponse = await self._again(
            lambda: self._unary("ListActors", api.ListActorsRequest(page_size=1000))
        )
        return list(page.actors)

    async def list_nodes(self) -> List[api.Node]:
        """The nodes of the cluster."""
        page: api.ListNodesResponse = await self._again(
            lambda: self._unary("ListNodes", api.ListNodesRequest(page_size=1000))
        )
        return list(page.nodes)

    async def _unary(self, method: str, request: object, timeout_s: float = requests.UNARY_TIMEOUT_S) -> Any:
        try:
            return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.RpcError as error:
            raise to_error(error) from error

    async def _again(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Makes a repeatable call, with a few retries when the connection is lost."""
        for wait, _ in zip(requests.waits(), range(requests.TRIES - 1)):
            try:
                return await call()
            except BallastError as error:
                if not error.is_lost:
                    raise
                await asyncio.sleep(wait)
        return await call()

    async def _stream(self, method: str, request: object) -> AsyncIterator[Any]:
        call = getattr(self._stub, method)(request, metadata=self._metadata)
        try:
            async for message in call:
                yield message
        except grpc.RpcError as error:
            raise to_error(error) from error
        finally:
            call.cancel()

    async def _download(self, method: str, request_of: Callable[[int], object]) -> bytes:
        download = requests.Download(bytearray())
        patience = requests.Patience()
        while True:
            try:
                async for chunk in self._stream(method, request_of(len(download.content))):
                    patience.heard()
                    download.take(chunk)
                return download.whole()
            except BallastError as error:
                await asyncio.sleep(patience.wait_after(error))
