"""`landvisor fit`: a model file from imagery and labels."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o


@click.command("fit")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... POINTS")
@o.out_option("Model file to write, ending in .safetensors.")
@o.options(o.model_options, o.unlabelled_option, o.seed_option, o.split_option)
@click.option("--val-split", help="Split whose labelled places choose the model, as in val.")
@o.training_options
@o.hold_out_option
@click.option("--dense", is_flag=True, help="Learn from the masks whole; give no POINTS.")
@o.options(o.source_options, o.label_options, o.reading_options, o.recipe_options, o.verbosity)
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Fit a model to labelled POINTS on IMAGE.

    Validation holds out spatial blocks, or the scenes of --val-split where points lie on them.
    """
    o.start_talking(values)
    if len(inputs) < 2 and not values["dense"]:
        raise click.UsageError("need imagery and points, or --dense to learn from masks")
    if values["out"].suffix != ".safetensors":
        raise click.UsageError(f"--out {str(values['out'])!r} must end in .safetensors")
    from landvisor import workflow  # imports torch

    options = o.make_options(values)
    images, points = (inputs, None) if values["dense"] else (inputs[:-1], inputs[-1])
    workflow.fit(
        o.find_collection(images, stack=values["stack"], assets=values["assets"]),
        points,
        recipe=o.make_recipe(values),
        out=values["out"],
        options=options,
    )
    if options.ranks.leads:
        click.echo(values["out"])
