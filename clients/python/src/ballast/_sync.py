"""The synchronous client."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, Type, Union

import grpc

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


class Client:
    """The API of a coordinator. Methods raise `BallastError`; streams resume where a lost connection broke them."""

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        token: Optional[str] = None,
        token_file: Union[None, str, "os.PathLike[str]"] = None,
    ) -> None:
        """Connects to HOST:PORT; the environment supplies omitted values (`BALLAST_SERVER`, `BALLAST_API_TOKEN_FILE`, …)."""
        target = requests.target_of(address, token, token_file)
        self._metadata = target.metadata
        if target.credentials is None:
            self._channel = grpc.insecure_channel(target.address)
        else:
            self._channel = grpc.secure_channel(target.address, target.credentials, list(target.options))
        self._stub: Any = coordinator_pb2_grpc.CoordinatorServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def create_run(
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
        run: api.Run = self._again(lambda: self._unary("CreateRun", request))
        return run

    def get_run(self, run: RunLike, *, fields: Optional[Sequence[str]] = None) -> api.Run:
        """The present state of a run; `fields` (as `["state", "test.accuracy"]`) selects fields."""
        request = api.GetRunRequest(name=run_name(run), read_mask=requests.mask_of(fields))
        found: api.Run = self._again(lambda: self._unary("GetRun", request))
        return found

    def list_runs(
        self, filter: str = "", *, order_by: str = "", fields: Optional[Sequence[str]] = None, page_size: int = 100
    ) -> Iterator[api.Run]:
        """Runs that match a filter, as `state = RUNNING AND test.balanced_accuracy > 0.7`; all by default."""
        token = ""
        while True:
            request = requests.list_request(filter, order_by, fields, page_size, token)
            page: api.ListRunsResponse = self._again(lambda: self._unary("ListRuns", request))
            yield from page.runs
            token = page.next_page_token
            if not token:
                return

    def watch(self, run: RunLike, *, from_sequence: int = 1, progress: bool = False) -> Iterator[api.RunEvent]:
        """The events of a run, from one on (0: only future events), until it ends."""
        following = from_sequence
        patience = requests.Patience()
        while True:
            request = api.WatchRunRequest(name=run_name(run), from_sequence=following, include_progress=progress)
            try:
                for event in self._stream("WatchRun", request):
                    patience.heard()
                    if event.sequence > 0:
                        following = event.sequence + 1
                    yield event
                return
            except BallastError as error:
                time.sleep(patience.wait_after(error))

    def wait(self, run: RunLike) -> api.Run:
        """Waits until a run has ended."""
        for _ in self.watch(run):
            pass
        return self.get_run(run)

    def cancel_run(self, run: RunLike) -> api.Run:
        """Stops a run; its complete epochs are kept."""
        request = api.CancelRunRequest(name=run_name(run))
        stopped: api.Run = self._unary("CancelRun", request, requests.CANCEL_TIMEOUT_S)
        return stopped

    def resume_run(self, run: RunLike, *, request_id: Optional[str] = None) -> api.Run:
        """Queues a cancelled or failed run again."""
        wish = requests.new_id() if request_id is None else request_id
        request = api.ResumeRunRequest(name=run_name(run), request_id=wish)
        resumed: api.Run = self._again(lambda: self._unary("ResumeRun", request))
        return resumed

    def delete_run(self, run: RunLike, *, allow_missing: bool = False) -> None:
        """Deletes a run that has ended, with all its results."""
        request = api.DeleteRunRequest(name=run_name(run), allow_missing=allow_missing)
        self._unary("DeleteRun", request)

    def epoch(self, run: RunLike, number: int) -> api.Epoch:
        """One complete epoch."""
        request = api.GetEpochRequest(name=f"{run_name(run)}/epochs/{number}")
        epoch: api.Epoch = self._again(lambda: self._unary("GetEpoch", request))
        return epoch

    def model(self, run: RunLike, path: Optional["os.PathLike[str]"] = None, *, format: str = "safetensors") -> bytes:
        """The classifier of a finished run, as `safetensors` or `onnx`; also written to `path` if one is given."""
        kind = requests.choice(requests.FORMATS, format, "format")
        content = self._download(
            "GetModel", lambda offset: api.GetModelRequest(name=run_name(run), format=kind, offset=offset)
        )
        if path is not None:
            requests.write_whole(path, content)
        return content

    def predictions_csv(self, run: RunLike, split: str = "test") -> bytes:
        """The predictions of a finished run's classifier for each `test` or `validation` image, as CSV."""
        kind = requests.choice(requests.SPLITS, split, "split")
        return self._download(
            "GetPredictions", lambda offset: api.GetPredictionsRequest(name=run_name(run), split=kind, offset=offset)
        )

    def predictions(self, run: RunLike, split: str = "test") -> "pd.DataFrame":
        """The same as a frame."""
        return predictions_frame(self.predictions_csv(run, split))

    def list_images(
        self, run: RunLike, *, epoch: Optional[int] = None, class_name: str = ""
    ) -> Iterator[api.Image]:
        """The images that a run kept, without pixels."""
        token = ""
        while True:
            parent = requests.image_parent(run, epoch)
            request = api.ListImagesRequest(parent=parent, class_name=class_name, page_token=token)
            page: api.ListImagesResponse = self._again(lambda: self._unary("ListImages", request))
            yield from page.images
            token = page.next_page_token
            if not token:
                return

    def images(
        self, run: RunLike, *, epoch: Optional[int] = None, class_name: str = ""
    ) -> "npt.NDArray[np.uint8]":
        """The same with pixels: [n, height, width, channels], 0 to 255."""
        names = [image.name for image in self.list_images(run, epoch=epoch, class_name=class_name)]
        pngs: List[bytes] = []
        for batch in requests.batches(names):
            pngs += [image.png for image in self._stream("GetImages", api.GetImagesRequest(names=batch))]
        return stack_images(pngs)

    def synthesize_png(
        self, run: RunLike, class_name: str, count: int, *, seed: int = 0, guidance_scale: Optional[float] = None
    ) -> Iterator[bytes]:
        """New images of a class as PNG files, as they are made. Equal arguments give equal images."""
        request = api.SynthesizeRequest(
            run=run_name(run), class_name=class_name, count=count, seed=seed, guidance_scale=guidance_scale
        )
        for image in self._stream("Synthesize", request):
            yield image.png

    def synthesize(
        self, run: RunLike, class_name: str, count: int, *, seed: int = 0, guidance_scale: Optional[float] = None
    ) -> "npt.NDArray[np.uint8]":
        """The same as an array [n, height, width, channels], 0 to 255."""
        return stack_images(
            self.synthesize_png(run, class_name, count, seed=seed, guidance_scale=guidance_scale)
        )

    def list_actors(self) -> List[api.Actor]:
        """The actors of the cluster."""
        page: api.ListActorsResponse = self._again(lambda: self._unary("ListActors", api.ListActorsRequest(page_size=1000)))
        return list(page.actors)

    def list_nodes(self) -> List[api.Node]:
        """The nodes of the cluster."""
        page: api.ListNodesResponse = self._again(lambda: self._unary("ListNodes", api.ListNodesRequest(page_size=1000)))
        return list(page.nodes)

    def _unary(self, method: str, request: object, timeout_s: float = requests.UNARY_TIMEOUT_S) -> Any:
        try:
            return getattr(self._stub, method)(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.RpcError as error:
            raise to_error(error) from error

    def _again(self, call: Callable[[], Any]) -> Any:
        """Makes a repeatable call, with a few retries when the connection is lost."""
        for wait, _ in zip(requests.waits(), range(requests.TRIES - 1)):
            try:
                return call()
            except BallastError as error:
                if not error.is_lost:
                    raise
                time.sleep(wait)
        return call()

    def _stream(self, method: str, request: object) -> Iterator[Any]:
        call = getattr(self._stub, method)(request, metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise to_error(error) from error
        finally:
            call.cancel()

    def _download(self, method: str, request_of: Callable[[int], object]) -> bytes:
        download = requests.Download(bytearray())
        patience = requests.Patience()
        while True:
            try:
                chunks: Iterable[Any] = self._stream(method, request_of(len(download.content)))
                for chunk in chunks:
                    patience.heard()
                    download.take(chunk)
                return download.whole()
            except BallastError as error:
                time.sleep(patience.wait_after(error))
