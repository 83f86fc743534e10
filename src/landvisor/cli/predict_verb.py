"""`landvisor predict`: maps from a model file, or from several."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o

_DIRECT = {"tta": "predict.tta", "match_histogram": "predict.match_histogram"}


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@o.out_option("Folder to make for the maps.")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="MODEL",
    help="A further model, of any kind; the map is of their mean probabilities.",
)
@click.option(
    "--weights",
    metavar="NUMBERS",
    help="Weight of each model in that mean, as in 0.6,0.4; equal by default.",
)
@click.option(
    "--tta",
    type=click.Choice(["none", "flips", "d4"]),
    help="See each window from one, four or eight sides, and average.",
)
@click.option(
    "--match-histogram/--no-match-histogram",
    default=None,
    help="Move the bands of all images to the distribution of the training imagery's values.",
)
@o.options(o.split_option, o.stack_option, o.reading_options, o.recipe_options, o.verbosity)
def command(model: str, images: tuple[str, ...], **values: Any) -> None:
    """Predict IMAGE with the file MODEL that `fit` or `map` wrote.

    What no option says is as the model's own recipe has it; with --recipe, as that file has it.
    """
    o.start_talking(values)
    weights = _parse_weights(values["weights"])
    from landvisor import workflow  # imports torch
    from landvisor.card import read_card

    workflow.predict(
        [model, *values["others"]],
        o.find_collection(images, stack=values["stack"]),
        out=values["out"],
        recipe=o.make_recipe(values, _DIRECT, base=read_card(model).recipe),
        weights=weights,
        options=o.make_options(values),
    )
    click.echo(values["out"])


def _parse_weights(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--weights {text!r}: write numbers, as in 0.6,0.4") from error
