"""The command line is quick, says errors in one line, and documents every verb."""

import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import click
import pytest

from landvisor import cli
from landvisor.cli import options
from landvisor.cli.main import VERBS, group, main
from landvisor.cli.options import MODELS, make_recipe
from landvisor.errors import SceneError
from landvisor.recipe import NetSpec

HEAVY = {"torch", "numpy", "pandas", "geopandas", "rasterio", "pydantic", "matplotlib", "scipy"}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return caught.value.code or 0, said.out, said.err


def test_help_of_every_verb_imports_nothing_slow():
    code = """if True:
        import json, sys
        from landvisor.cli.main import VERBS, main
        for arguments in ([], *([verb] for verb in VERBS)):
            try:
                main([*arguments, "--help"])
            except SystemExit as stop:
                assert not stop.code, arguments
        print(json.dumps(sorted(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert HEAVY & set(json.loads(done.stderr)) == set()


def test_help_lists_every_verb_with_what_it_does(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    text = " ".join(out.split())
    for verb, does in VERBS.items():
        assert f"{verb} {does}" in text


def test_the_version_is_printed(capsys):
    assert run(capsys, "--version")[1].startswith("landvisor, version ")


def test_every_verb_has_a_module_and_every_module_a_verb():
    folder = Path(cli.__file__).parent
    assert {path.stem.removesuffix("_verb") for path in folder.glob("*_verb.py")} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_documented(verb):
    module = importlib.import_module(f"landvisor.cli.{verb}_verb")
    assert module.__doc__.startswith(f"`landvisor {verb}`")
    command = group.get_command(click.Context(group), verb)
    assert command.name == verb
    for part in command.commands.values() if isinstance(command, click.Group) else [command]:
        check_command(part)


def check_command(command):
    assert command.help
    options = [part for part in command.params if isinstance(part, click.Option)]
    assert [part.name for part in options if not part.help] == []
    short = {name for part in options for name in part.opts if not name.startswith("--")}
    assert short <= {"-o", "-v", "-q"}
    assert {"--verbose", "--quiet"} <= {name for part in options for name in part.opts}


@pytest.mark.parametrize("verb", VERBS)
def test_the_file_of_a_verb_is_short(verb):
    path = Path(cli.__file__).parent / f"{verb}_verb.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["fit"],
        ["map", "--folds", "some"],
        ["map", "a", "b", "-o", "c", "--buffer", "wide"],
        ["map", "a", "b", "-o", "c", "--buffer", "-1"],
        ["map", "a", "b", "-o", "c", "--hold-out", "pixels"],
        ["fit", "a", "b", "-o", "c", "--model", "vgg"],
    ],
)
def test_bad_usage_exits_with_2(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_failure_exits_with_1_and_one_line(capsys, tmp_path):
    code, out, err = run(capsys, "info", tmp_path / "none.tif")
    assert (code, out) == (1, "")
    assert err.startswith("landvisor: no such file")
    assert (err.count("\n"), err[-1]) == (1, "\n")


def fail_with(monkeypatch, error, *, verb="info"):
    @click.command(verb)
    @click.option("-v", "--verbose", count=True)
    def command(verbose):
        raise error

    monkeypatch.setattr(f"landvisor.cli.{verb}_verb.command", command)


def test_a_message_of_several_lines_becomes_one(capsys, monkeypatch):
    fail_with(monkeypatch, SceneError("found a;\n  need b"))
    assert run(capsys, "info") == (1, "", "landvisor: found a; need b\n")


@pytest.mark.parametrize(
    ("given", "shown"), [([], False), (["-v"], False), (["-vv"], True), (["-v", "--verbose"], True)]
)
def test_a_traceback_is_shown_on_request_only(capsys, monkeypatch, given, shown):
    fail_with(monkeypatch, SceneError("found a"))
    code, _, err = run(capsys, "info", *given)
    assert code == 1
    assert ("Traceback" in err) == shown
    assert err.endswith("landvisor: found a\n")


def test_the_unforeseen_is_one_line_too(capsys, monkeypatch):
    fail_with(monkeypatch, KeyError("lost"))
    code, _, err = run(capsys, "info")
    assert code == 1
    assert err == "landvisor: unexpected KeyError: 'lost'; run with -vv and report it\n"


def test_an_interrupted_study_keeps_its_runs(capsys, monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt(), verb="study")
    code, _, err = run(capsys, "study")
    assert code == 130
    assert "stopped; runs that ended are kept, and the same command goes on" in err


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "study"])
def test_an_interrupt_exits_with_130_and_says_what_is_left(capsys, monkeypatch, verb):
    fail_with(monkeypatch, KeyboardInterrupt(), verb=verb)
    code, _, err = run(capsys, verb)
    assert code == 130
    assert err.strip().startswith("landvisor: stopped; no output was made")
    assert ("network's last epoch" in err) == (verb in {"fit", "map"})
    assert ("last finished block" in err) == (verb in {"predict", "map"})


def test_a_message_covers_the_progress_line_and_other_packages_are_quiet(capsys, monkeypatch):
    """What a terminal shows: a carriage return goes to the start and erases nothing."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    options.start_talking({"verbose": 0, "quiet": False})
    show = options._show_pixels()
    logging.getLogger("distributed").setLevel(logging.INFO)
    for say in (
        lambda: show(1, 4),
        lambda: logging.getLogger("landvisor.x").info("short"),
        lambda: logging.getLogger("distributed").info("a scheduler starts"),
        lambda: logging.getLogger("distributed").warning("a worker died"),
        lambda: show(4, 4),
    ):
        say()
    shown = []
    for line in capsys.readouterr().err.split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part) :]
        shown.append(cells.rstrip())
    assert shown == ["short", "a worker died", "predicted 100%", ""]


def test_the_models_on_offer_are_those_of_a_recipe():
    assert set(NetSpec.model_fields["model"].annotation.__args__) == set(MODELS)


def test_options_of_their_own_win_over_settings_and_these_over_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 1\n[fit]\nlr = 0.5\nepochs = 3\ngamma = 1\n")
    values = {
        "recipe": path,
        "settings": ("net.model=unet", "fit.lr=0.25", "fit.epochs=4", "net.encoder=x y"),
    }
    recipe = make_recipe({**values, "epochs": 5, "seed": None})
    assert (recipe.fit.gamma, recipe.fit.lr, recipe.fit.epochs) == (1, 0.25, 5)
    assert (recipe.seed, recipe.net.encoder) == (1, "x y")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fit.scale=[1, 1]", (1.0, 1.0)), ("fit.flips=false", False), ("fit.alpha = 0.25", 0.25)],
)
def test_settings_are_read_as_toml(setting, value):
    recipe = make_recipe({"settings": (setting,)})
    assert getattr(recipe.fit, setting[4:].split("=")[0].strip()) == value


@pytest.mark.parametrize(
    ("setting", "said"),
    [("fit.lr", "has no value"), ("fit.lrr=1", "nearest valid one is 'fit.lr'")],
)
def test_a_bad_setting_fails_in_one_line(capsys, tmp_path, setting, said):
    arguments = ["fit", "a.tif", "b.gpkg", "--set", setting, "--out", tmp_path / "m.safetensors"]
    (tmp_path / "a.tif").touch()
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert said in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "bank", "--epochs", "3"], "--epochs is for networks"),
        (["--preset", "fast", "--epochs", "3"], "--epochs is for networks"),
        (["--model", "forest", "--encoder", "resnet18"], "--encoder does nothing"),
        (["--model", "bank", "--encoder-weights", "none"], "--encoder-weights does nothing"),
        (["--model", "plain_unet", "--encoder", "resnet18"], "--encoder does nothing"),
    ],
)
def test_an_option_that_the_model_would_ignore_is_refused(options, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["map", "scene.tif", "points.gpkg", "--out", str(tmp_path / "x"), *options])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
