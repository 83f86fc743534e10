"""`landvisor import`: a collection from folders of images and masks, or from arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--masks", multiple=True, help="Folder, glob or file of masks; once, or per SOURCE.")
@click.option("--splits", help="A split per SOURCE, in order, as in train,test.")
@click.option(
    "--val-share", type=click.FloatRange(0, 1, max_open=True), default=0.0,
    help="Share of the training images that becomes split val, by whole groups.",
)  # fmt: skip
@click.option("--legend", type=click.Path(path_type=Path), help="A legend.toml.")
@o.out_option("Folder to make for collection.csv and legend.toml.")
@o.options(o.seed_option, o.json_option, o.verbosity)
def command(sources: tuple[str, ...], **values: Any) -> None:
    """Make a collection of SOURCE: a folder or glob of images, or an .npz or .npy file.

    Masks are found by the stem of their name. Arrays are known by name: training_set (image and
    mask), images with masks, test_set, and group. Images are referred to, arrays become pictures.
    """
    o.start_talking(values)
    from landvisor.geo.importing import Splitting, import_collection  # imports rasterio

    names = tuple(part.strip() for part in (values["splits"] or "").split(",") if part.strip())
    made = import_collection(
        sources,
        values["out"],
        masks=values["masks"],
        legend=values["legend"],
        splitting=Splitting(names, values["val_share"], values["seed"] or 0),
        overwrite=values["overwrite"],
    )
    if values["as_json"]:
        click.echo(json.dumps(made.summary(), indent=2))
    else:
        click.echo("\n".join([*made.lines(), f"made: {made.collection.path}"]))
