"""`landvisor check`: data problems before they cost a training run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.labels.check import Checked
    from landvisor.labels.findings import Finding


@click.command("check")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... [POINTS]")
@click.option("--background", type=click.IntRange(0), default=0, help="Random negatives per scene.")
@click.option("--distance", type=click.FloatRange(0), default=2.0, show_default=True,
              help="Pixels within which points of different classes are told.")  # fmt: skip
@click.option("--suspects", type=click.Path(path_type=Path), help="Write points that look wrong.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier file of --suspects.")
@o.options(o.split_option, o.source_options, o.label_options, o.reading_options, o.json_option)
@o.verbosity
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Find problems of IMAGE, its masks, and POINTS.

    Exit code 1: a problem would stop `map`. Splits left out are only compared with the rest.
    """
    o.start_talking(values)
    from landvisor.geo.vectors import check_geopackage
    from landvisor.labels.check import check_inputs, write_suspects

    images, points = o.part_inputs(inputs)
    if values["suspects"] and points is None:
        raise click.UsageError("--suspects are among the points; name them after the image")
    if values["overwrite"] and not values["suspects"]:
        raise click.UsageError("--overwrite goes with --suspects")
    collection = o.find_collection(images, stack=values["stack"], assets=values["assets"])
    options = o.make_options({**values, "quiet": True})  # there is no progress to show
    if values["suspects"]:
        check_geopackage(values["suspects"], option="--suspects")
        read = [*collection.sources(), points]
        options.check_out(values["suspects"], kind="file", read=read, option="--suspects")
    used = o.choose_scenes(collection, values, "checked")
    names = {item.name for item in used.items}
    checked = check_inputs(
        used, points, options=options, background=values["background"],
        distance=values["distance"],
        held_out=[item for item in collection.items if item.name not in names],
    )  # fmt: skip
    findings = [*checked.findings, *_check_folds(checked)]
    lines = "\n".join(f"{f.level:8}{f.text}" for f in findings)
    click.echo(json.dumps([asdict(f) for f in findings], indent=2) if values["as_json"] else lines)
    if values["suspects"]:
        write_suspects(checked, values["suspects"], overwrite=values["overwrite"])
    sys.exit(any(finding.level == "problem" for finding in findings))


def _check_folds(checked: Checked, folds: int = 5) -> list[Finding]:
    """Check that spatial folds can be made; only here do labels and accuracy meet."""
    from landvisor.accuracy.folds import assign_folds
    from landvisor.errors import AssessmentError
    from landvisor.labels.check import check_units
    from landvisor.labels.findings import Finding

    places, legend = checked.places, checked.legend
    if places is None or legend is None or not len(places):
        return []
    shapes, groups = [scene.shape for scene in checked.scenes], checked.groups
    try:
        split = assign_folds(places, shapes=shapes, folds=folds, seed=0, scene_groups=groups)
    except AssessmentError as error:
        return [Finding("problem", f"{error} (--folds 0 states no accuracy)")]
    return check_units(places.label, split.block, legend)
