"""Writes docs/reference.md from the command line and the recipe; a test keeps it current."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import click

from landvisor import recipe
from landvisor.cli.main import VERBS, group

HEAD = """# Reference

Written by `python docs/generate_reference.py`; do not edit.

`landvisor VERB INPUT... --out PATH`. Results go to stdout or a file, talk to stderr. Nothing is
overwritten without `--overwrite`; outputs appear whole or not at all. Exit codes: 0 done, 1 failed
(one line says what was found, what was needed and what to do; `-vv` adds the traceback), 2 bad
usage, 130 interrupted.

## Verbs
"""
RECIPE = """
## Recipe

All choices of a run. Give a TOML file with `--recipe`, single keys with `--set fit.lr=0.002`. An
unknown key is an error that names the nearest valid one.

| key | default | what |
|---|---|---|
"""


def describe_verbs() -> str:
    """Return the help of every verb."""
    context = click.Context(group, info_name="landvisor", **group.context_settings)
    parts = []
    for verb in VERBS:
        command = group.get_command(context, verb)
        assert command is not None, "every verb has a command"
        parts += _describe(verb, command, context)
    return "\n".join(parts)


def _describe(verb: str, command: click.Command, parent: click.Context) -> list[str]:
    """Return the help of a command, and of each command that it groups."""
    context = click.Context(command, info_name=verb.rpartition(" ")[2], parent=parent)
    parts = [f"### {verb}\n\n```text\n{command.get_help(context)}\n```\n"]
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        parts += _describe(f"{verb} {name}", inner, context)
    return parts


def describe_recipe() -> str:
    """Return one table row for every key of a recipe."""
    rows = []
    for name, field in recipe.Recipe.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, recipe.Spec):
            said = _attribute_texts(part)
            for key, inner in part.model_fields.items():
                rows.append(_row(f"{name}.{key}", inner.default, said.get(key, "")))
        else:
            rows.append(_row(name, field.default, "all randomness follows from it"))
    return "\n".join(rows)


def _row(key: str, default: object, text: str) -> str:
    return f"| `{key}` | `{default}` | {text.replace('|', 'or')} |"


def _attribute_texts(part: type) -> dict[str, str]:
    """Read the string that stands below each attribute of a class."""
    body = ast.parse(inspect.getsource(part)).body[0]
    assert isinstance(body, ast.ClassDef), "a spec is a class"
    texts = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
            texts[ast.unparse(before.target)] = " ".join(ast.literal_eval(after.value).split())
    return texts


def make_page() -> str:
    """Return the whole page."""
    return HEAD + "\n" + describe_verbs() + RECIPE + describe_recipe() + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "reference.md").write_text(make_page(), encoding="utf-8")
