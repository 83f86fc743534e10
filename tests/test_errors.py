"""Every kind of error can happen, and a stranger's `except` catches it too."""

import ast
import inspect
from pathlib import Path

import pytest

import landvisor
from landvisor import errors

SOURCE = Path(landvisor.__file__).parent
CHILDREN = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.LandvisorError) and kind is not errors.LandvisorError
]


def raised() -> set[str]:
    """Names of all exceptions that some module raises by calling them."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]
    calls = [
        node.exc.func
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    return {ast.unparse(call).rsplit(".", 1)[-1] for call in calls}


def test_every_error_has_a_raiser():
    assert {kind.__name__ for kind in CHILDREN} <= raised()


@pytest.mark.parametrize("kind", CHILDREN)
def test_every_error_is_also_one_that_strangers_catch(kind):
    assert issubclass(kind, (ValueError, OSError))
    assert str(kind("found a; need b")) == "found a; need b"


def test_no_module_raises_the_bare_root():
    assert "LandvisorError" not in raised()
    assert "Exception" not in raised()
