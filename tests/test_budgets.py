"""The source tree stays within the budgets of the house style."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import landvisor

SOURCE = Path(landvisor.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
LONG_FILES = {"recipe.py": "every option on one page"}
"""Files over 400 lines, each with the reason that a reviewer accepted."""
CROWDED = {
    "learn/consistency.py:semi_supervised_loss": "one call for loops that are not ours: all of it",
}
"""Functions of more than eight arguments, each with the reason that a reviewer accepted."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def functions() -> Iterator[tuple[str, Function]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{name_of(path)}:{node.name}", node


def body_lines(function: Function) -> int:
    """Count the lines of a body from its first statement after the docstring to its last."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if not body or body[-1].end_lineno is None:
        return 0
    return body[-1].end_lineno - body[0].lineno + 1


def test_functions_fit_in_view():
    lengths = {name: body_lines(function) for name, function in functions()}
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    assert np.median(list(lengths.values())) <= 8
    assert np.percentile(list(lengths.values()), 95) <= 40


def test_files_are_short_and_long_ones_have_a_reason():
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in FILES}
    assert np.median([n for n in lengths.values() if n > 5]) <= 180
    assert {name for name, n in lengths.items() if n > 400} == set(LONG_FILES)


def test_functions_take_at_most_eight_arguments():
    crowded = {}
    for name, function in functions():
        given = function.args
        arguments = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        count = len([a for a in arguments if a not in ("self", "cls")])
        if count > 8:
            crowded[name] = count
    assert set(crowded) == set(CROWDED)


def definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Yield public functions and classes of a module and the public methods of the latter."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node
            for part in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(part, Function) and not part.name.startswith("_"):
                    yield f"{node.name}.{part.name}", part


def test_every_module_and_public_name_has_a_docstring():
    bare = [name_of(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    for path, tree in TREES.items():
        bare += [
            f"{name_of(path)}:{name}"
            for name, node in definitions(tree)
            if not ast.get_docstring(node)
        ]
    assert bare == []


def test_docstrings_begin_with_one_short_line():
    long = [
        f"{name_of(path)}:{name}"
        for path, tree in TREES.items()
        for name, node in definitions(tree)
        if len((ast.get_docstring(node) or "").split("\n")[0]) > 88
    ]
    assert long == []


def test_no_module_has_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [name_of(path) for path in FILES if path.stem in empty] == []


def test_no_class_is_the_config_twin_of_another():
    classes = [n.name for t in TREES.values() for n in ast.walk(t) if isinstance(n, ast.ClassDef)]
    assert [name for name in classes if name.endswith("Config")] == []


def module_of(path: Path) -> str:
    parts = ("landvisor", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): tree for path, tree in TREES.items()}


def only_for_types(tree: ast.Module) -> set[ast.AST]:
    """Find all nodes under `if TYPE_CHECKING`, which never run."""
    tests = [n for n in ast.walk(tree) if isinstance(n, ast.If)]
    guarded = [n for n in tests if ast.unparse(n.test).endswith("TYPE_CHECKING")]
    return {part for test in guarded for part in ast.walk(test)}


def imports(module: str) -> set[str]:
    """List the project's modules that a module imports anywhere, inside functions too."""
    tree = MODULES[module]
    skipped = only_for_types(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & set(MODULES)) - {module}


def test_no_imports_are_relative():
    relative = [
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_imports_go_in_circles():
    graph = {module: imports(module) for module in MODULES}
    while leaves := {module for module, needed in graph.items() if not needed}:
        graph = {m: needed - leaves for m, needed in graph.items() if m not in leaves}
    assert graph == {}, "these modules import each other"


@pytest.mark.parametrize("word", ["print", "breakpoint", "eval", "exec"])
def test_the_library_never_calls(word):
    callers = [
        f"{module}:{node.lineno}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == word
    ]
    assert callers == []
