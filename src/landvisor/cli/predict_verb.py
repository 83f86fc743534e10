"""`landvisor predict`: maps from a model file, or from several."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.predict_options import (
    DIRECT,
    ensemble_options,
    find_weights,
    mosaic_options,
    seeing_options,
)


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@o.out_option("Folder to make for the maps.")
@o.options(ensemble_options, seeing_options, mosaic_options)
@o.options(o.split_option, o.source_options, o.team_options, o.reading_options)
@o.options(o.recipe_options, o.verbosity)
def command(model: str, images: tuple[str, ...], **values: Any) -> None:
    """Predict IMAGE with the file MODEL that `fit` or `map` wrote.

    What no option says is as the model's own recipe has it; with --recipe, as that file has it.
    """
    o.start_talking(values)
    weights = find_weights(values)
    from landvisor import workflow  # imports torch
    from landvisor.card import read_card

    workflow.predict(
        [model, *values["others"]],
        o.find_collection(images, stack=values["stack"], assets=values["assets"]),
        out=values["out"],
        recipe=o.make_recipe(values, DIRECT, base=read_card(model).recipe),
        weights=weights,
        weigh_on=values["weigh_on"],
        options=o.make_options(values),
    )
    click.echo(values["out"])
