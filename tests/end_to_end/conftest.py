"""The command line as a function, and the demo small and once."""

import contextlib
import io
from typing import NamedTuple

import pytest

from landvisor.cli.main import main
from landvisor.demo import write_demo

FAST = ("--model", "bank", "--set", "instant.trees=60", "--set", "instant.classifier=trees")


class Said(NamedTuple):
    code: int
    out: str
    err: str


def call(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def landvisor():
    """Run a verb: `landvisor("info", path)` returns exit code, stdout and stderr."""
    return call


@pytest.fixture(scope="session")
def fast():
    """Options of the fastest model that learns."""
    return FAST


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), size=(256, 256), seed=0)


@pytest.fixture(scope="session")
def bundle(demo, tmp_path_factory):
    """What `landvisor map` makes of the demo, and what it said."""
    folder = tmp_path_factory.mktemp("map") / "result"
    said = call("map", demo.scene, demo.points, "--out", folder, "--folds", 3, *FAST)
    assert said.code == 0, said.err
    return folder, said
