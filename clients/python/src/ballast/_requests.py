"""The common parts of both clients: the server's address, the requests, the waits between attempts."""

from __future__ import annotations

import hashlib
import os
import pathlib
import time
import uuid
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import grpc
from google.protobuf import field_mask_pb2, json_format

from ._errors import BallastError
from .v1 import coordinator_pb2 as api

#: A run, or its name (`runs/photos`), or its id (`photos`).
RunLike = Union[str, api.Run]

UNARY_TIMEOUT_S = 60.0
#: Attempts of a repeatable call.
TRIES = 4
#: CancelRun waits for the run's processes.
CANCEL_TIMEOUT_S = 130.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 10.0
#: How long a server is waited for that was reached before.
PATIENCE_S = 600.0

SPLITS = {
    "validation": api.GetPredictionsRequest.SPLIT_VALIDATION,
    "test": api.GetPredictionsRequest.SPLIT_TEST,
}
FORMATS = {
    "safetensors": api.GetModelRequest.FORMAT_SAFETENSORS,
    "onnx": api.GetModelRequest.FORMAT_ONNX,
}


@dataclass(frozen=True)
class Target:
    """A coordinator's API and its credentials."""

    address: str
    metadata: Tuple[Tuple[str, str], ...]
    credentials: Optional[grpc.ChannelCredentials]
    options: Tuple[Tuple[str, Any], ...]


def target_of(address: Optional[str], token: Optional[str], token_file: Union[None, str, "os.PathLike[str]"]) -> Target:
    """From arguments, otherwise from `BALLAST_SERVER`, `BALLAST_API_TOKEN_FILE` and `BALLAST_TLS_CA`, `_CERT` and `_KEY`."""
    server = address or os.environ.get("BALLAST_SERVER")
    if not server:
        raise ValueError("no address: give HOST:PORT of a coordinator's API, or set BALLAST_SERVER")
    if token is None:
        file = token_file or os.environ.get("BALLAST_API_TOKEN_FILE")
        token = pathlib.Path(file).read_text().strip() if file else ""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    authority = _read_named("BALLAST_TLS_CA")
    if authority is None:
        return Target(server, metadata, None, ())
    credentials = grpc.ssl_channel_credentials(
        authority, _read_named("BALLAST_TLS_KEY"), _read_named("BALLAST_TLS_CERT")
    )
    # Every certificate of a cluster carries this name, whatever its address.
    names = (("grpc.ssl_target_name_override", "ballast"), ("grpc.default_authority", "ballast"))
    return Target(server, metadata, credentials, names)


def _read_named(variable: str) -> Optional[bytes]:
    path = os.environ.get(variable)
    return pathlib.Path(path).read_bytes() if path else None


def run_name(run: RunLike) -> str:
    """The name `runs/photos` from a run, its name, or its id."""
    if isinstance(run, api.Run):
        return run.name
    return run if run.startswith("runs/") else f"runs/{run}"


def new_id() -> str:
    """An id for a request, so that a repeated call has no second effect."""
    return str(uuid.uuid4())


def create_request(
    config: Mapping[str, Any],
    run_id: str,
    weight: float,
    labels: Optional[Mapping[str, str]],
    request_id: Optional[str],
) -> api.CreateRunRequest:
    wish = new_id() if request_id is None else request_id
    request = api.CreateRunRequest(run_id=run_id, weight=weight, labels=labels or {}, request_id=wish)
    json_format.ParseDict(dict(config), request.config)
    return request


def list_request(
    filter: str, order_by: str, fields: Optional[Sequence[str]], page_size: int, page_token: str
) -> api.ListRunsRequest:
    return api.ListRunsRequest(
        filter=filter, order_by=order_by, read_mask=mask_of(fields), page_size=page_size, page_token=page_token
    )


def mask_of(fields: Optional[Sequence[str]]) -> Optional[field_mask_pb2.FieldMask]:
    return None if fields is None else field_mask_pb2.FieldMask(paths=list(fields))


def choice(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise ValueError(f"{what} {name!r}: use one of {', '.join(table)}")
    return table[name]


def waits() -> Iterator[float]:
    """Seconds to wait before each retry."""
    wait = FIRST_WAIT_S
    while True:
        yield wait
        wait = min(2 * wait, LONGEST_WAIT_S)


class Patience:
    """Waits between the attempts of a stream that goes on where it stopped when its server is away for a while.

    A server that was never reached gets `TRIES` attempts; one that was is waited for up to `PATIENCE_S`.
    """

    def __init__(self) -> None:
        self._was_reached = False
        self._attempts = 0
        self._lost_at: Optional[float] = None
        self._waits = waits()

    def heard(self) -> None:
        """Call this with each message of the stream."""
        if self._lost_at is not None:
            self._waits = waits()
        self._was_reached = True
        self._lost_at = None

    def wait_after(self, error: BallastError) -> float:
        """Seconds to wait before the next attempt; raises `error` where there is to be none."""
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
        self._attempts += 1
        is_enough = now - self._lost_at > PATIENCE_S if self._was_reached else self._attempts >= TRIES
        if is_enough or not error.is_lost:
            raise error
        return next(self._waits)


@dataclass
class Download:
    """A file in transfer, checked against the size and digest in every chunk."""

    content: bytearray
    sha256: str = ""
    size_bytes: int = -1

    def take(self, chunk: Union[api.ModelChunk, api.PredictionsChunk]) -> None:
        if self.sha256 not in ("", chunk.sha256):
            raise IOError("the file changed on the way; download it again")
        if chunk.offset != len(self.content):
            raise IOError(f"byte {chunk.offset} came where {len(self.content)} was due")
        self.content += chunk.data
        self.sha256, self.size_bytes = chunk.sha256, chunk.size_bytes

    def whole(self) -> bytes:
        content = bytes(self.content)
        if len(content) != self.size_bytes or hashlib.sha256(content).hexdigest() != self.sha256:
            raise IOError("the file came damaged; download it again")
        return content


def write_whole(path: "os.PathLike[str]", content: bytes) -> None:
    """Writes the file atomically."""
    target = pathlib.Path(path)
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    part.replace(target)


def image_parent(run: RunLike, epoch: Optional[int]) -> str:
    return f"{run_name(run)}/epochs/{'-' if epoch is None else epoch}"


def batches(names: Sequence[str], size: int = 1000) -> Iterator[List[str]]:
    for start in range(0, len(names), size):
        yield list(names[start : start + size])
