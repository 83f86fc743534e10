"""Every option that several verbs share, defined once, and how they become specs."""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from landvisor.architectures import NETWORKS, PLAIN_NETWORKS
from landvisor.errors import RecipeError
from landvisor.ranks import find_ranks

if TYPE_CHECKING:
    from landvisor.geo.collection import Collection
    from landvisor.geo.legend import Legend
    from landvisor.options import Options
    from landvisor.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])
Values = dict[str, Any]
_PROGRESS = 16  # characters that a progress line takes at most
DESIGNS = ("simple", "stratified")
MODELS = ("auto", *NETWORKS, "instant", "bank", "forest")
BACKENDS = (
    "auto", "torch", "torch-fp32", "torch-bf16",
    "openvino-fp32", "openvino-bf16", "openvino-int8", "onnxruntime-fp32",
)  # fmt: skip


class _Buffer(click.ParamType[str | float]):
    """The word auto, or a number of pixels."""

    name = "buffer"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | float:
        """Return "auto" or a float of 0 or more."""
        if value == "auto":
            return "auto"
        try:
            pixels = float(value)
        except ValueError:
            pixels = -1.0
        if not 0 <= pixels < float("inf"):
            self.fail(f"{value!r} is neither auto nor a number of pixels, 0 or more", param, ctx)
        return pixels


def options(*parts: Callable[[F], F]) -> Callable[[F], F]:
    """Join options into one decorator, in the order of the help text."""

    def add(function: F) -> F:
        for part in reversed(parts):
            function = part(function)
        return function

    return add


def out_option(what: str) -> Callable[[F], F]:
    """Return `--out`, `-o` for a given kind of output, and `--overwrite`."""
    return options(
        click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help=what),
        click.option("--overwrite", is_flag=True, help="Replace an existing output."),
    )


seed_option = click.option(
    "--seed", type=click.IntRange(0), default=None, help="All randomness follows from it."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
split_option = click.option("--split", help="Splits of the collection to use, as in train,val.")
stack_option = click.option(
    "--stack", is_flag=True, help="The images are the bands of one scene, a file per band."
)
asset_option = click.option(
    "--asset", "assets", multiple=True, metavar="NAME",
    help="Asset of STAC items to read; several are the bands of one scene, in order.",
)  # fmt: skip
source_options = options(stack_option, asset_option)

verbosity = options(
    click.option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks."),
    click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong."),
)

reading_options = options(
    click.option("--nodata", type=float, help="Value of no-data that the file does not declare."),
    click.option(
        "--nodata-tolerance", type=click.FloatRange(0), default=0.0,
        help="With --nodata: how far a border-connected collar may differ from it.",
    ),
    click.option(
        "--aoi", type=click.Path(path_type=Path), help="Polygons; only the area inside is used."
    ),
)  # fmt: skip

legend_option = click.option("--legend", type=click.Path(path_type=Path), help="A legend.toml.")

label_options = options(
    click.option("--class-column", help="Column of the points that holds the class."),
    click.option("--crs", help="CRS of points whose file does not say, as in EPSG:32633."),
    legend_option,
)

workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Threads; the processors' number by default."
)

team_options = options(
    click.option(
        "--workers", type=click.IntRange(1), help="Processes that predict side by side."
    ),
    click.option(
        "--dask", metavar="ADDRESS", help="Scheduler of the cluster that predicts, as in "
        "tcp://10.0.0.1:8786.",
    ),
)  # fmt: skip

recipe_options = options(
    click.option("--recipe", type=click.Path(path_type=Path), help="A recipe in TOML."),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE",
        help="Set one choice of the recipe, as in --set fit.lr=0.002.",
    ),
)  # fmt: skip

model_options = options(
    click.option(
        "--preset", type=click.Choice(["fast", "default", "best"]),
        help="How much is done for accuracy where nothing else is chosen.",
    ),
    click.option("--model", type=click.Choice(MODELS), help="What learns."),
    click.option("--encoder", help="A timm encoder, as in mobilenetv2_100."),
    click.option("--encoder-weights", help="auto, none, a hub name, or a .safetensors file."),
    click.option("--epochs", type=click.IntRange(1), help="Longest training of a network."),
    click.option(
        "--members", type=click.IntRange(1),
        help="Models to average, of other seeds and with other places held out.",
    ),
    click.option(
        "--background", type=click.IntRange(0),
        help="Random negatives per scene, for presence-only points.",
    ),
    click.option(
        "--grown", type=click.Path(path_type=Path),
        help="What link or grow made, a raster or a folder, to learn from besides the points.",
    ),
)  # fmt: skip

unlabelled_option = click.option(
    "--unlabelled", metavar="PATH",
    help="More images, a folder, glob or collection.csv, for a network to see without labels.",
)  # fmt: skip

hold_out_option = click.option(
    "--hold-out", type=click.Choice(["auto", "blocks", "scenes", "groups", "random"]),
    help="What is held out as one, to validate and to state accuracy.",
)  # fmt: skip

fold_options = options(
    click.option(
        "--folds", type=click.IntRange(0),
        help="Outer folds; 5, or one for each scene or group held out by name; 0 states no "
        "accuracy.",
    ),
    hold_out_option,
    click.option(
        "--buffer", type=_Buffer(), metavar="auto|PIXELS",
        help="Least distance of held-out places from those learned from; auto measures labels "
        "and model.",
    ),
)  # fmt: skip

backend_option = click.option(
    "--backend", type=click.Choice(BACKENDS),
    help="What computes a network; auto tries what is installed where much is to be predicted.",
)  # fmt: skip

training_options = options(
    click.option(
        "--logger", type=click.Choice(["csv", "tensorboard", "none"]),
        help="Figures of a network's epochs, left beside the model; csv by default.",
    ),
    click.option(
        "--devices", type=click.IntRange(1), help="Devices of each machine to train a network on."
    ),
    click.option("--nodes", type=click.IntRange(1), help="Machines to train a network on."),
)  # fmt: skip

_DIRECT = {
    "preset": "preset",
    "members": "fit.members",
    "model": "net.model",
    "encoder": "net.encoder",
    "encoder_weights": "net.encoder_weights",
    "epochs": "fit.epochs",
    "background": "labels.background",
    "folds": "assess.folds",
    "hold_out": "assess.hold_out",
    "buffer": "assess.buffer",
    "seed": "seed",
}


def start_talking(values: Values) -> None:
    """Send the library's log to stderr, as much of it as `-v` and `-q` ask for."""
    level = logging.INFO - 10 * min(values["verbose"], 1)
    if not find_ranks(values.get("devices"), values.get("nodes"), environ=os.environ).leads:
        level = logging.ERROR
    # Padded, a message covers the progress line that it is written over.
    form = f"%(message)-{_PROGRESS}s" if sys.stderr.isatty() else "%(message)s"
    logging.basicConfig(format=form, level=logging.WARNING)
    for handler in logging.root.handlers:
        handler.addFilter(_concerns_user)
    logging.getLogger("landvisor").setLevel(
        max(level, logging.WARNING) if values["quiet"] else level
    )


def _concerns_user(record: logging.LogRecord) -> bool:
    """Leave out what other packages, such as Dask, say at length of their own affairs."""
    return record.levelno >= logging.WARNING or record.name.startswith("landvisor")


def make_recipe(
    values: Values, direct: dict[str, str] = _DIRECT, *, base: Recipe | None = None
) -> Recipe:
    """Build the recipe: the file, then `--set`, then the options with a name of their own.

    Args:
        values: What was given.
        direct: Recipe path by name of the option.
        base: What stands where no file was given; the defaults where None.
    """
    from landvisor.recipe import Recipe, read_recipe  # pydantic is slow to import

    recipe = read_recipe(values["recipe"]) if values.get("recipe") else base or Recipe()
    settings = dict(_parse_setting(text) for text in values.get("settings", ()))
    named = {path: values[key] for key, path in direct.items() if values.get(key) is not None}
    settled = recipe.with_values({**settings, **named})
    _check_use(values, settled)
    return settled


def _check_use(values: Values, recipe: Recipe) -> None:
    """Refuse options that the chosen model would ignore."""
    from landvisor.recipe import INSTANT_MODELS

    model = recipe.net.model
    trained = (*NETWORKS, *(["auto"] if recipe.preset != "fast" else []))
    for name in ("epochs", "logger", "devices", "nodes"):
        if values.get(name) is not None and model not in trained:
            raise click.UsageError(f"--{name} is for networks; name one with --model {NETWORKS[0]}")
    idle = [name for name in ("encoder", "encoder_weights") if values.get(name) is not None]
    if idle and model in {*INSTANT_MODELS, *PLAIN_NETWORKS} - {"instant"}:
        option = "--" + idle[0].replace("_", "-")
        raise click.UsageError(f"{option} does nothing for --model {model}; leave one of them out")


def make_options(values: Values) -> Options:
    """Build what surrounds a run, with a progress bar where stderr is a terminal."""
    from landvisor.geo.rasters import Reading  # imports rasterio
    from landvisor.options import Options

    quiet = bool(values.get("quiet"))
    reading = Reading(
        values.get("nodata"), values.get("nodata_tolerance") or 0.0, values.get("aoi")
    )
    return Options(
        reading=reading,
        class_column=values.get("class_column"),
        crs=values.get("crs"),
        legend=values.get("legend"),
        grown=values.get("grown"),
        unlabelled=values.get("unlabelled"),
        split=values.get("split"),
        val_split=values.get("val_split"),
        overwrite=bool(values.get("overwrite")),
        logger=values.get("logger") or "csv",
        devices=values.get("devices"),
        nodes=values.get("nodes"),
        workers=values.get("workers"),
        dask=values.get("dask"),
        progress=not quiet and sys.stderr.isatty(),
        on_pixels=None if quiet else _show_pixels(),
    )


def find_collection(
    images: tuple[str, ...], *, stack: bool, assets: tuple[str, ...] = ()
) -> Collection:
    """Open what a user named as imagery: one source, several files, or a file per band."""
    from landvisor.geo.collection import band_collection, open_collection

    if stack and assets:
        raise click.UsageError("--asset takes bands from STAC items, --stack from files; use one")
    if stack:
        return band_collection(images)
    return open_collection(images[0] if len(images) == 1 else list(images), assets=assets)


def choose_scenes(collection: Collection, values: Values, done: str) -> Collection:
    """Keep the scenes of --split, else all but those of split test, and say so.

    Args:
        collection: All scenes.
        values: What was given.
        done: What becomes of the scenes, as in "checked".
    """
    used = collection.for_learning(values["split"], None)
    if len(used) < len(collection) and not values["quiet"]:
        which = "those of split test are left out unless --split names them"
        which = f"those of --split {values['split']}" if values["split"] else which
        click.echo(f"{len(used)} of {len(collection)} scenes are {done}: {which}", err=True)
    return used


def part_inputs(inputs: tuple[str, ...]) -> tuple[tuple[str, ...], Path | None]:
    """Part what a user named into imagery and, where the last of it is that, points."""
    from landvisor.geo.describe import find_kind  # imports rasterio

    if find_kind(inputs[-1]) != "points":
        return inputs, None
    if len(inputs) == 1:
        raise click.UsageError("points lie on imagery; name the image first")
    return inputs[:-1], Path(inputs[-1])


def name_mask(collection: Collection, mask: Path | None) -> Collection:
    """Give a single image its mask, and the legend that lies beside that."""
    if mask is None:
        return collection
    from landvisor.geo.legend import read_legend
    from landvisor.geo.mask_values import find_legend

    if len(collection) > 1:
        raise click.UsageError("--mask goes with a single IMAGE; a collection names its own masks")
    near = find_legend([*mask.absolute().parents[:2]])
    legend = collection.legend or (read_legend(near) if near else None)
    return replace(collection, items=(replace(collection.items[0], mask=mask),), legend=legend)


def given_legend(values: Values) -> Legend | None:
    """Read the legend of --legend; None where it was not given."""
    if values["legend"] is None:
        return None
    from landvisor.geo.legend import read_legend  # imports numpy

    return read_legend(values["legend"])


def _parse_setting(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    if not found:
        raise RecipeError(f"--set {text!r} has no value; write it as --set fit.lr=0.002")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _show_pixels() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        # The cursor goes back to the start, so that whatever is said next covers this.
        end = "\n" if done >= total else "\r"
        click.echo(f"predicted {done / total:4.0%}{end}", err=True, nl=False)

    return show
