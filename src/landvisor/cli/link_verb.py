"""`landvisor link`: more labels from places of one class that lie close together."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.making import choose_recipe, make_and_tell, making_options

AREAS = ("segment", "disk", "hull")
DIRECT = {
    "area": "link.area",
    "distance": "link.distance",
    "radius": "link.radius",
    "tolerance": "link.tolerance",
    "seed": "seed",
}


@click.command("link")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... [POINTS]")
@o.out_option("GeoTIFF to write for one IMAGE, or a folder to make.")
@click.option("--area", type=click.Choice(AREAS),
              help="What is labelled: lines between places, by default, or discs or hulls of "
              "linked ones.")  # fmt: skip
@click.option("--distance", type=click.FloatRange(0, min_open=True),
              help="Farthest places that are linked, in pixels; 5 by default.")  # fmt: skip
@click.option("--radius", type=click.FloatRange(0, min_open=True),
              help="With disk: how far the label reaches, in pixels; 2 by default.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0),
              help="How far colours may leave those of the places, in robust deviations; 0.5 by "
              "default, 0 looks at none.")  # fmt: skip
@making_options
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Link places of one class that lie close together, and label what is between them.

    Without POINTS, the labelled pixels of sparse masks are the places. Purity is measured
    against the masks where POINTS are given too, else against points held out. Without --split,
    scenes of split test are left out.
    """
    o.start_talking(values)
    recipe = choose_recipe(values, DIRECT, path="link.area", usual="segment")
    if values["radius"] is not None and recipe.link.area != "disk":
        raise click.UsageError("--radius goes with --area disk")
    make_and_tell(inputs, values, seed=recipe.seed, link=recipe.link)
