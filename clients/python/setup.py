"""Generates the stubs of the API from its proto file as the package is built; everything else is in pyproject.toml."""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).parent.resolve()
PROTO = "ballast/v1/coordinator.proto"
#: In the repository, and in a source distribution, which carries a copy.
PLACES = (HERE / "proto", HERE.parent.parent / "proto")


def proto_root():
    for place in PLACES:
        if (place / PROTO).exists():
            return place
    raise SystemExit(f"{PROTO} is in none of {', '.join(map(str, PLACES))}: build from a whole checkout")


def generate(target):
    """Writes `ballast/v1/coordinator_pb2.py`, its types and its gRPC stubs into a folder."""
    from grpc_tools import protoc  # a requirement of the build alone

    (target / "ballast" / "v1").mkdir(parents=True, exist_ok=True)
    (target / "ballast" / "v1" / "__init__.py").write_text('"""Messages and stubs of the API, generated."""\n')
    outputs = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    if protoc.main(["protoc", f"-I{proto_root()}", f"-I{well_known}", *outputs, PROTO]) != 0:
        raise SystemExit("protoc could not generate the stubs")


class Build(build_py):
    """Builds the package with its generated modules."""

    def run(self):
        super().run()
        generate(HERE / "src" if self.editable_mode else pathlib.Path(self.build_lib).resolve())


class Source(sdist):
    """Puts the proto file into a source distribution."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        target = pathlib.Path(base_dir) / "proto" / PROTO
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(proto_root() / PROTO, target)


setup(cmdclass={"build_py": Build, "sdist": Source})
