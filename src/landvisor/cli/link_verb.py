"""`landvisor link`: more labels from places of one class that lie close together."""

from __future__ import annotations

import json
from typing import Any

import click

from landvisor.cli import options as o

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
@click.option(
    "--area",
    type=click.Choice(AREAS),
    default="segment",
    show_default=True,
    help="What is labelled: lines between places, discs or hulls of linked ones.",
)
@click.option(
    "--distance",
    type=click.FloatRange(0, min_open=True),
    help="Farthest places that are linked, in pixels; 5 by default.",
)
@click.option(
    "--radius",
    type=click.FloatRange(0, min_open=True),
    help="With disk: how far the label reaches, in pixels; 2 by default.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    help="How far colours may leave those of the places, in robust deviations.",
)
@o.options(o.making_options, o.seed_option, o.split_option, o.stack_option, o.label_options)
@o.options(o.reading_options, o.recipe_options, o.workers_option, o.json_option, o.verbosity)
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Link places of one class that lie close together, and label what is between them.

    Without POINTS, the labelled pixels of sparse masks are the places. Purity is measured
    against the masks where POINTS are given too, else against points held out. Without --split,
    scenes of split test are left out.
    """
    o.start_talking(values)
    if values["radius"] is not None and values["area"] != "disk":
        raise click.UsageError("--radius goes with --area disk")
    from landvisor.labels.extend import Making
    from landvisor.labels.make import make_labels

    recipe = o.make_recipe(values, DIRECT)
    collection, points = o.find_labelled(inputs, values)
    made = make_labels(
        collection,
        points,
        out=values["out"],
        making=Making(
            link=recipe.link,
            holdout=values["holdout"],
            min_purity=values["min_purity"],
            seed=recipe.seed,
            workers=values["workers"],
        ),
        options=o.make_options({**values, "quiet": True}),  # there is no progress to show
    )
    lines = "\n".join([*made.lines, f"made: {values['out']}"])
    click.echo(json.dumps(made.facts, indent=2) if values["as_json"] else lines)
