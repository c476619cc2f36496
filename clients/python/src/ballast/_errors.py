"""Failures of calls, with the server's details for programs."""

from __future__ import annotations

from typing import Mapping, Optional, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"


class BallastError(Exception):
    """A call that failed.

    `code` is the gRPC status. `reason` is the constant of the cause, such as `RUN_NOT_FOUND` (docs/api.md lists them), and
    `metadata` has its facts, such as `field` and `value`; both are empty if no coordinator answered.
    """

    def __init__(self, code: grpc.StatusCode, message: str, reason: str, metadata: Mapping[str, str]) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata)

    @property
    def is_lost(self) -> bool:
        """Whether the connection or the server was lost, so that the same call may succeed later."""
        return self.code is grpc.StatusCode.UNAVAILABLE


def to_error(error: grpc.RpcError) -> BallastError:
    """Converts a failed call of grpcio, synchronous or not."""
    call = cast("grpc.Call", error)
    info = _error_info(call.trailing_metadata())
    reason, metadata = ("", {}) if info is None else (info.reason, dict(info.metadata))
    return BallastError(call.code(), call.details() or "", reason, metadata)


def _error_info(metadata: object) -> Optional[error_details_pb2.ErrorInfo]:
    encoded = next((value for key, value in metadata or () if key == _DETAILS_KEY), None)  # type: ignore[attr-defined]
    if encoded is None:
        return None
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(encoded).details:
        if detail.Unpack(info):
            return info
    return None
