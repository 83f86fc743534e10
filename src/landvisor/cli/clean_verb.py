"""`landvisor clean`: a collection without the images that do not belong."""

from __future__ import annotations

import json
from typing import Any

import click

from landvisor.cli import options as o

DETECTORS = ("identical_masks", "duplicates", "mean_pixel", "reconstruction", "feature_outlier")


@click.command("clean")
@click.argument("image", metavar="COLLECTION")
@click.option("--detectors", default="identical_masks", show_default=True, metavar="NAMES",
              help=f"What to look for, joined by commas: {', '.join(DETECTORS)}.")  # fmt: skip
@o.out_option("Folder to make for collection.csv, legend.toml and removed.csv.")
@o.options(o.reading_options, o.json_option, o.verbosity)
def command(image: str, **values: Any) -> None:
    """Leave out images of COLLECTION that do not belong, and list which and why.

    Images and masks are neither deleted nor copied: the new collection refers to them. Images
    that cannot be read, or whose mask does not fit, are left out whatever the detectors.
    """
    o.start_talking(values)
    names = [part.strip() for part in values["detectors"].split(",") if part.strip()]
    unknown = next((name for name in names if name not in DETECTORS), None)
    if unknown is not None or not names:
        raise click.UsageError(f"--detectors {unknown!r}: choose among {', '.join(DETECTORS)}")
    from landvisor.geo.collection import open_collection
    from landvisor.labels.clean import clean_collection, write_cleaned

    options = o.make_options({**values, "quiet": True})  # there is no progress to show
    collection = open_collection(image)
    options.check_out(values["out"], kind="folder", read=collection.sources())
    cleaned = clean_collection(collection, detectors=names, reading=options.reading)
    write_cleaned(cleaned, values["out"], overwrite=values["overwrite"])
    lines = "\n".join([*cleaned.lines(), f"made: {values['out']}"])
    click.echo(json.dumps(cleaned.summary(), indent=2) if values["as_json"] else lines)
