"""`landvisor grow`: more labels from the like pixels around places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.making import choose_recipe, make_and_tell, making_options

METHODS = ("region", "superpixel", "walker", "disc")
DIRECT = {
    "method": "grow.method",
    "radius": "grow.radius",
    "max_pixels": "grow.max_pixels",
    "tolerance": "grow.tolerance",
    "features": "grow.features",
    "seed": "seed",
}


@click.command("grow")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... [POINTS]")
@o.out_option("GeoTIFF to write for one IMAGE, or a folder to make.")
@click.option("--method", type=click.Choice(METHODS),
              help="Like pixels, by default, segments that hold a place, a random walker, or "
              "the plain disc.")  # fmt: skip
@click.option("--radius", type=click.FloatRange(0, min_open=True),
              help="Farthest pixel from its place, in pixels; 12 by default.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(1),
              help="Most pixels that one place may claim; 400 by default.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0, min_open=True),
              help="With region: how much a pixel may differ, in robust deviations; 0.2 by "
              "default.")  # fmt: skip
@click.option("--features", type=click.Choice(["raw", "bank"]),
              help="With region: what is compared, the bands or the filter bank.")  # fmt: skip
@click.option("--from-map", "maps", type=click.Path(path_type=Path),
              help="Grow nothing: take pixels that a map is sure of, a folder of map or "
              "predict.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True),
              help="With --from-map: least probability of the class; 0.95 if not "
              "given.")  # fmt: skip
@making_options
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Grow labels from places over the like pixels around them.

    Without POINTS, the labelled pixels of sparse masks are the places. Purity is measured
    against the masks where POINTS are given too, else against points held out. Without --split,
    scenes of split test are left out.
    """
    o.start_talking(values)
    if values["maps"] is not None:
        _take_from_map(inputs, values)
        return
    if values["threshold"] is not None:
        raise click.UsageError("--threshold goes with --from-map")
    recipe = choose_recipe(values, DIRECT, path="grow.method", usual="region")
    idle = [f"--{name}" for name in ("tolerance", "features") if values[name] is not None]
    if idle and recipe.grow.method != "region":
        raise click.UsageError(f"{idle[0]} goes with --method region")
    make_and_tell(inputs, values, seed=recipe.seed, grow=recipe.grow)


def _take_from_map(inputs: tuple[str, ...], values: o.Values) -> None:
    from landvisor.labels.sure_map import SureMap
    from landvisor.recipe import GrowSpec

    recipe = choose_recipe(values, DIRECT, path="grow.method", usual="none")
    if recipe.grow != GrowSpec():
        raise click.UsageError("with --from-map nothing grows; leave out how, in the recipe too")
    given = values["threshold"]
    maps = SureMap(values["maps"]) if given is None else SureMap(values["maps"], given)
    make_and_tell(inputs, values, seed=recipe.seed, sure_map=maps)
