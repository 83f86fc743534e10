"""The entry point: finds a verb's file when it is asked for, and says errors in one line."""

from __future__ import annotations

import importlib
import logging
import re
import sys
import traceback
from collections.abc import Sequence

import click

from landvisor import __version__
from landvisor.errors import LandvisorError
from landvisor.parallel import share_heap

VERBS = {
    "demo": "Make a synthetic scene, map it, and hold the map against the known truth.",
    "map": "Turn imagery and labelled points into a map with a stated accuracy.",
    "check": "Find data problems before they cost a training run.",
    "info": "Say what is in a raster, points, collection, model or map.",
    "import": "Make a collection of folders of images and masks, or of arrays.",
    "sample": "Draw labelled points from masks, or places to label from a map.",
    "link": "Label what lies between close places of one class.",
    "grow": "Grow labels from places over the pixels around them.",
    "clean": "Leave out images that do not belong, and list which and why.",
    "fit": "Fit a model to labelled points.",
    "predict": "Predict scenes with a fitted model.",
    "assess": "Hold maps against masks or points; state accuracy and areas.",
    "vectorize": "Write a map as polygons.",
    "sieve": "Leave small patches out of a map, or smooth it by majority.",
    "areas": "Say how much of a map each class covers.",
    "study": "Run designed experiments, and say what they found.",
    "export": "Write a model as a file that other programs run.",
}
_GOES_ON = {
    "a network's last epoch": ("fit", "map"),
    "the last finished block of a map": ("predict", "map"),
}
_VERBOSE = re.compile(r"-v+|--verbose")


class _Verbs(click.Group):
    """Commands that are imported only when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"landvisor.cli.{cmd_name}_verb")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(__version__, prog_name="landvisor")
def group() -> None:
    """Land-cover maps with a stated accuracy, from imagery and labelled points.

    Start with `landvisor demo`, then `landvisor map scene.tif points.gpkg --out result`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    share_heap()
    sys.exit(_run(given))


def _run(given: list[str]) -> int:
    try:
        # outside of its standalone mode click returns the exit code of --help and ctx.exit
        return int(group.main(given, prog_name="landvisor", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"landvisor: stopped; {_say_left(given)}", err=True)
        return 130
    except LandvisorError as error:
        _explain(str(error), given)
        return 1
    except Exception as error:  # the one place that turns the unforeseen into an exit code
        logging.getLogger(__name__).debug("unexpected", exc_info=True)
        _explain(f"unexpected {type(error).__name__}: {error}; run with -vv and report it", given)
        return 1


def _say_left(given: list[str]) -> str:
    """Say what a stopped command leaves: outputs appear whole or not at all."""
    verb = next((word for word in given if word in VERBS), None)
    if verb == "study":
        return "runs that ended are kept, and the same command goes on with the others"
    points = [words for words, verbs in _GOES_ON.items() if verb in verbs]
    more = f"; the same command goes on from {' or '.join(points)}" if points else ""
    return f"no output was made{more}"


def _explain(message: str, given: list[str]) -> None:
    words = [word for word in given if _VERBOSE.fullmatch(word)]
    if sum(1 if word.startswith("--") else len(word) - 1 for word in words) > 1:
        traceback.print_exc()
    click.echo(f"landvisor: {' '.join(message.split())}", err=True)
