"""`landvisor grow`: more labels from the like pixels around places."""

from __future__ import annotations

import json
from typing import Any

import click

from landvisor.cli import options as o

METHODS = ("region", "superpixel", "walker")
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
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="region",
    show_default=True,
    help="Like pixels, segments that hold a place, or a random walker.",
)
@click.option(
    "--radius",
    type=click.FloatRange(0, min_open=True),
    help="How far from its place a label may grow, in pixels.",
)
@click.option("--max-pixels", type=click.IntRange(1), help="Most pixels that one place may claim.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    help="With region: how much a pixel may differ, in robust deviations.",
)
@click.option("--features", type=click.Choice(["raw", "bank"]),
              help="With region: what is compared, the bands or the filter bank.")  # fmt: skip
@o.options(o.making_options, o.seed_option, o.split_option, o.stack_option, o.label_options)
@o.options(o.reading_options, o.recipe_options, o.workers_option, o.json_option, o.verbosity)
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Grow labels from places over the like pixels around them.

    Without POINTS, the labelled pixels of sparse masks are the places. Purity is measured
    against the masks where POINTS are given too, else against points held out. Without --split,
    scenes of split test are left out.
    """
    o.start_talking(values)
    idle = [f"--{name}" for name in ("tolerance", "features") if values[name] is not None]
    if idle and values["method"] != "region":
        raise click.UsageError(f"{idle[0]} goes with --method region")
    from landvisor.labels.extend import Making
    from landvisor.labels.make import make_labels

    recipe = o.make_recipe(values, DIRECT)
    collection, points = o.find_labelled(inputs, values)
    made = make_labels(
        collection,
        points,
        out=values["out"],
        making=Making(
            grow=recipe.grow,
            holdout=values["holdout"],
            min_purity=values["min_purity"],
            seed=recipe.seed,
            workers=values["workers"],
        ),
        options=o.make_options({**values, "quiet": True}),  # there is no progress to show
    )
    lines = "\n".join([*made.lines, f"made: {values['out']}"])
    click.echo(json.dumps(made.facts, indent=2) if values["as_json"] else lines)
