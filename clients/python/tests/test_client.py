"""The client against a real coordinator, which the project's test suite starts (test/python-client.test.ts).

`BALLAST_SERVER` says where it is, `BALLAST_TEST_CONFIG` names a JSON file with the configuration of a tiny run.
"""

import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import grpc
import numpy as np
import pytest

from ballast import AsyncClient, BallastError, Client
from ballast.v1 import coordinator_pb2 as api

CONFIG = json.loads(pathlib.Path(os.environ["BALLAST_TEST_CONFIG"]).read_text())
EPOCHS = CONFIG["training"]["epochs"]


@pytest.fixture(scope="module")
def client():
    with Client() as opened:
        yield opened


@pytest.fixture(scope="module")
def run(client):
    made = client.create_run(CONFIG, run_id="python", labels={"team": "snakes"})
    events = list(client.watch(made))
    assert [event.WhichOneof("event") for event in events].count("epoch_finished") == EPOCHS
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    ended = client.get_run(made)
    assert ended.state == api.Run.STATE_SUCCEEDED, ended.reason
    return ended


def test_a_server_that_is_not_there_is_no_wait_without_end():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and nobody listens
        with Client(f"127.0.0.1:{unheard.getsockname()[1]}") as client:
            for call in (lambda: client.wait("python"), lambda: client.model("python")):
                with pytest.raises(BallastError) as refused:
                    call()
                assert refused.value.is_lost


def test_a_wish_that_is_made_twice_makes_one_run(client, run):
    wish = {"config": {**CONFIG, "method": "erm", "prior": None}, "request_id": "one wish"}
    assert client.create_run(**wish).name == client.create_run(**wish).name


def test_lists_have_filters_orders_and_fields(client, run):
    (found,) = client.list_runs("labels.team = snakes", order_by="name", fields=["name", "test.accuracy"], page_size=1)
    assert found.name == "runs/python"
    assert found.state == api.Run.STATE_UNSPECIFIED
    assert 0 < found.test.accuracy <= 1


def test_images_are_arrays(client, run):
    images = client.images(run, epoch=1)
    assert images.dtype == np.uint8
    assert images.shape[0] > 0 and images.shape[1:3] == (16, 16)
    some = client.images("python", epoch=1, class_name="disc")
    assert 0 < len(some) < len(images)
    assert len(client.images(run, class_name="disc")) >= len(some)


def test_synthesis_is_reproducible(client, run):
    one, same, other = (client.synthesize(run, "disc", count=3, seed=seed) for seed in (1, 1, 2))
    assert one.shape[0] == 3
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_model_has_the_digest_that_the_run_tells(client, run, tmp_path):
    content = client.model(run, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == content
    assert weights_digest(content) == run.weights_digest
    assert len(client.model(run, format="onnx")) > 0


def test_an_epoch(client, run):
    assert client.epoch(run, EPOCHS).validation.balanced_accuracy == run.validation.balanced_accuracy


def test_failures_say_why(client):
    with pytest.raises(BallastError) as caught:
        client.get_run("none")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")
    assert caught.value.metadata == {"resource": "runs/none"}
    with pytest.raises(BallastError) as caught:
        client.create_run({**CONFIG, "seed": -1})
    assert (caught.value.reason, caught.value.metadata["field"]) == ("INVALID_FIELD", "config.seed")
    with pytest.raises(ValueError, match="use one of safetensors, onnx"):
        client.model("python", format="pickle")


def test_the_cluster(client):
    assert [node.state for node in client.list_nodes()] == ["alive"]
    assert all(actor.name.startswith("actors/") for actor in client.list_actors())


async def test_asyncio_has_the_same(run):
    async with AsyncClient() as client:
        events = [event async for event in client.watch("python")]
        assert events[-1].state_changed.state == api.Run.STATE_SUCCEEDED
        assert (await client.get_run(run)) == run
        assert [one.name async for one in client.list_runs("labels.team = snakes")] == ["runs/python"]
        assert (await client.images(run, epoch=1, class_name="disc")).shape[0] > 0
        assert weights_digest(await client.model(run)) == run.weights_digest
        made = await client.create_run({**CONFIG, "method": "erm", "prior": None}, run_id="python-async")
        assert (await client.wait(made)).state == api.Run.STATE_SUCCEEDED
        await client.delete_run(made)
        with pytest.raises(BallastError):
            await client.get_run(made)


def test_the_walkthrough_runs(client, tmp_path):
    walkthrough = pathlib.Path(__file__).parent.parent / "examples" / "walkthrough.py"
    command = [sys.executable, str(walkthrough), os.environ["BALLAST_TEST_CONFIG"], "walkthrough"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "runs/walkthrough of" in done.stdout
    assert f"runs/walkthrough/epochs/{EPOCHS} loss" in done.stdout
    assert "fresh (4, 16, 16" in done.stdout


def weights_digest(data: bytes) -> str:
    """As docs/api.md has it."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    arrays, entries, at = b"", {"__metadata__": {}}, 0
    for name in sorted(header):
        begin, end = header[name]["data_offsets"]
        arrays += data[8 + size + begin : 8 + size + end]
        entries[name] = {**header[name], "data_offsets": [at, at + end - begin]}
        at += end - begin
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return hashlib.sha256(len(text).to_bytes(8, "little") + text + arrays).hexdigest()
