"""`landvisor check`: data problems before they cost a training run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.labels.check import Checked, Finding

FOLDS = 5


@click.command("check")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... [POINTS]")
@click.option("--background", type=click.IntRange(0), default=0,
              help="Random negatives per scene that the run will draw.")  # fmt: skip
@o.options(o.split_option, o.stack_option, o.label_options, o.reading_options, o.json_option)
@o.verbosity
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Find problems of IMAGE, its masks, and POINTS.

    Exit code 1 means that a problem would stop `map`. Without --split, scenes of split test are
    left out.
    """
    o.start_talking(values)
    from landvisor.geo.describe import find_kind
    from landvisor.labels.check import check_inputs

    labelled = find_kind(inputs[-1]) == "points"
    images, points = (inputs[:-1], inputs[-1]) if labelled else (inputs, None)
    if not images:
        raise click.UsageError("points are checked on their imagery; name the image first")
    collection = o.find_collection(images, stack=values["stack"])
    used = collection.for_learning(values["split"], None)
    if len(used) < len(collection):
        click.echo(f"{len(used)} of {len(collection)} scenes are checked (--split)", err=True)
    checked = check_inputs(
        used,
        points,
        options=o.make_options({**values, "quiet": True}),  # there is no progress to show
        background=values["background"],
    )
    findings = [*checked.findings, *_check_folds(checked)]
    if values["as_json"]:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        click.echo("\n".join(f"{f.level:8}{f.text}" for f in findings))
    sys.exit(any(finding.level == "problem" for finding in findings))


def _check_folds(checked: Checked) -> list[Finding]:
    """Check that spatial folds can be made; only here do labels and accuracy meet."""
    from landvisor.accuracy.folds import assign_folds
    from landvisor.errors import AssessmentError
    from landvisor.labels.check import Finding, check_units

    places, legend = checked.places, checked.legend
    if places is None or legend is None or not len(places):
        return []
    try:
        split = assign_folds(
            places,
            shapes=[scene.shape for scene in checked.scenes],
            folds=FOLDS,
            seed=0,
            scene_groups=checked.groups,
        )
    except AssessmentError as error:
        return [Finding("problem", f"{error} (--folds 0 states no accuracy)")]
    return check_units(places.label, split.block, legend)
