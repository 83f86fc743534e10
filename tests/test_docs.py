"""The documents are current: commands parse, links lead somewhere, examples run."""

import contextlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from landvisor.cli.main import VERBS, group
from landvisor.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LOSS = ROOT / "docs" / "how-to" / "use-the-loss.md"
LABELS = ROOT / "docs" / "how-to" / "make-labels.md"
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(work|root|tmp|home)\b")


def name_page(path):
    return str(path.relative_to(ROOT))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def find_commands(path):
    """List command lines with whether they stand alone; a backslash continues a line."""
    text = path.read_text(encoding="utf-8")
    fenced = "\n".join(blocks(text, r"\w*")).replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(code.split()) for code in re.findall(r"`(landvisor [^`]+)`", prose)]
    lines = [(line.strip(), True) for line in fenced] + [(line, False) for line in inline]
    starts = ("landvisor ", ".venv/bin/landvisor ")
    return [(line, alone) for line, alone in lines if line.startswith(starts)]


COMMANDS = [
    pytest.param(line, alone, id=f"{path.name}: {line[:50]}")
    for path in PAGES
    if path.name != "reference.md"
    for line, alone in find_commands(path)
    if "VERB" not in line
]


def test_the_reference_is_what_its_generator_makes():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate_reference.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == generator.make_page(), "run python docs/generate_reference.py"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_reference(verb):
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert f"### {verb}\n" in text
    assert f"Usage: landvisor {verb} " in text


@pytest.mark.parametrize("path", PAGES, ids=name_page)
def test_every_relative_link_leads_to_a_file(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link.split("#")[0] for link in links if "://" not in link and link[0] != "#"]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name_page)
def test_no_page_holds_a_path_of_one_machine(path):
    assert MACHINE_PATH.findall(path.read_text(encoding="utf-8")) == []


def test_commands_are_found_at_all():
    assert len(COMMANDS) > 15


@pytest.mark.parametrize(("line", "alone"), COMMANDS)
def test_a_command_in_the_documents_names_only_what_exists(line, alone):
    """Parsing refuses unknown verbs, options and values; nothing runs."""
    _, verb, *words = shlex.split(line, comments=True)
    if verb in ("--help", "--version"):
        return
    parent = click.Context(group, **group.context_settings)
    command = group.get_command(parent, verb)
    assert command is not None
    mentioned = contextlib.nullcontext() if alone else contextlib.suppress(click.MissingParameter)
    with mentioned:  # prose may name a verb, or leave out what is clear
        parse(command, verb, words, parent)


def parse(command, name, words, parent):
    """Parse words as a command would, and as the command of a group that they name."""
    context = command.make_context(name, list(words), parent=parent)
    if isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        assert inner is not None, f"{name} has no {words[0]}"
        parse(inner, words[0], words[1:], context)


@pytest.mark.parametrize("number", range(len(blocks(LOSS.read_text(encoding="utf-8"), "python"))))
def test_every_example_of_the_loss_runs(number):
    code = blocks(LOSS.read_text(encoding="utf-8"), "python")[number]
    exec(compile(code, f"{LOSS.name} {number}", "exec"), {"__name__": "example"})


def test_the_page_on_the_loss_has_examples():
    assert len(blocks(LOSS.read_text(encoding="utf-8"), "python")) >= 2


def test_the_examples_of_making_labels_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, code in enumerate(blocks(LABELS.read_text(encoding="utf-8"), "python")):
        exec(compile(code, f"{LABELS.name} {number}", "exec"), {"__name__": "example"})
    assert (tmp_path / "python.tif").exists()


def test_the_recipe_on_the_page_on_labels_is_one():
    (text,) = blocks(LABELS.read_text(encoding="utf-8"), "toml")
    assert parse_recipe(tomllib.loads(text)).labels.area_prior["water"] == 0.07
