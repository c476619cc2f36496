"""Trains a classifier on a Ballast coordinator and makes images with it.

    python train.py 127.0.0.1:4800 run.json photos --class cat --out photos

It submits a run, watches it through broken connections, downloads the model, and requests ten images of a class.
README.md beside this file explains how its stubs are generated.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import time

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from ballast.v1 import coordinator_pb2 as api
from ballast.v1 import coordinator_pb2_grpc

ENDED_BADLY = (api.Run.STATE_FAILED, api.Run.STATE_CANCELLED)


def main():
    args = parse_arguments()
    try:
        with open_channel(args.server) as channel:
            train(Client(channel), args)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        info = error_info(error)
        if info is not None:
            print(info.reason, info.domain, json.dumps(dict(info.metadata), sort_keys=True), file=sys.stderr)
        sys.exit(1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="HOST:PORT of the coordinator's API")
    parser.add_argument("config", type=pathlib.Path, help="JSON file with the configuration; paths are the server's")
    parser.add_argument("run_id", help="id of the run")
    parser.add_argument("--class", dest="class_name", required=True, help="class to make images of")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the model and the images")
    return parser.parse_args()


def train(client, args):
    run = client.create_run(args.run_id, json.loads(args.config.read_text()))
    print(f"{run.name}: {api.Run.State.Name(run.state)}", flush=True)
    client.watch(run.name)
    args.out.mkdir(parents=True, exist_ok=True)
    model = args.out / "model.safetensors"
    client.get_model(run.name, model)
    print(f"model: {model.stat().st_size} bytes")
    for number, png in enumerate(client.synthesize(run.name, args.class_name, count=10, seed=7), start=1):
        write_whole(args.out / f"{args.class_name}-{number:05}.png", png)
    print(f"images: {number}")


def open_channel(server):
    """Uses TLS if BALLAST_TLS_CA names a file; every certificate of a cluster carries the name `ballast`."""
    ca = read_named("BALLAST_TLS_CA")
    if ca is None:
        return grpc.insecure_channel(server)
    own = {"private_key": read_named("BALLAST_TLS_KEY"), "certificate_chain": read_named("BALLAST_TLS_CERT")}
    credentials = grpc.ssl_channel_credentials(root_certificates=ca, **own)
    options = [("grpc.ssl_target_name_override", "ballast"), ("grpc.default_authority", "ballast")]
    return grpc.secure_channel(server, credentials, options)


def read_named(variable):
    path = os.environ.get(variable)
    return pathlib.Path(path).read_bytes() if path else None


class Client:
    def __init__(self, channel):
        self.stub = coordinator_pb2_grpc.CoordinatorServiceStub(channel)
        token_file = os.environ.get("BALLAST_API_TOKEN_FILE")
        token = pathlib.Path(token_file).read_text().strip() if token_file else ""
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    def create_run(self, run_id, config):
        """Creates the run. With a request_id a repeated call creates no second run, so it may be retried."""
        request = api.CreateRunRequest(run_id=run_id, request_id=f"example-{run_id}")
        json_format.ParseDict(config, request.config)
        return self.stub.CreateRun(request, metadata=self.metadata, timeout=30)

    def watch(self, name):
        """Prints the run's events until it has ended. A broken stream resumes after the last event seen."""
        following = 1
        while True:
            request = api.WatchRunRequest(name=name, from_sequence=following)
            try:
                for event in self.stub.WatchRun(request, metadata=self.metadata):
                    following = event.sequence + 1
                    self.show(name, event)
                return
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                print(f"connection lost; watching again from event {following}", flush=True)
                time.sleep(1)

    def show(self, name, event):
        kind = event.WhichOneof("event")
        if kind == "epoch_finished":
            epoch = event.epoch_finished.epoch
            print(f"{epoch.name}: loss {epoch.train_loss:.3f}, quota {list(epoch.quota)}", flush=True)
        elif kind == "state_changed":
            change = event.state_changed
            print(f"{name}: {api.Run.State.Name(change.state)}: {change.reason}", flush=True)
            if change.state in ENDED_BADLY:
                sys.exit(f"{name} has no model: {change.reason}")

    def get_model(self, name, path):
        """Downloads the model, resumes a broken download, and compares its digest."""
        content = bytearray()
        while True:
            request = api.GetModelRequest(
                name=name, format=api.GetModelRequest.FORMAT_SAFETENSORS, offset=len(content)
            )
            try:
                for chunk in self.stub.GetModel(request, metadata=self.metadata):
                    content += chunk.data
                    digest = chunk.sha256
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(1)
        if hashlib.sha256(content).hexdigest() != digest:
            sys.exit(f"{name}: the downloaded model is damaged")
        write_whole(path, content)

    def synthesize(self, name, class_name, count, seed):
        """PNG files of new images. Equal requests give equal images."""
        request = api.SynthesizeRequest(run=name, class_name=class_name, count=count, seed=seed)
        for image in self.stub.Synthesize(request, metadata=self.metadata):
            yield image.png


def error_info(error):
    """The part of an error that is meant for programs: google.rpc.ErrorInfo, in the status's details.

    grpcio-status has `rpc_status.from_call`, which reads the same; it is not needed for this.
    """
    encoded = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if encoded is None:
        return None
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(encoded).details:
        if detail.Unpack(info):
            return info
    return None


def write_whole(path, content):
    """Writes the file atomically."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    main()
