"""`landvisor predict`: maps from a model file."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@o.out_option("Folder to make for the maps.")
@o.options(o.split_option, o.stack_option, o.reading_options, o.recipe_options, o.verbosity)
def command(model: str, images: tuple[str, ...], **values: Any) -> None:
    """Predict IMAGE with the file MODEL that `fit` or `map` wrote."""
    o.start_talking(values)
    from landvisor import workflow  # imports torch

    given = values["recipe"] or values["settings"]
    workflow.predict(
        model,
        o.find_collection(images, stack=values["stack"]),
        out=values["out"],
        recipe=o.make_recipe(values) if given else None,
        options=o.make_options(values),
    )
    click.echo(values["out"])
