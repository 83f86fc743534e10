"""What becomes one map and who says it, as options of `predict`, and which of them go together."""

from __future__ import annotations

from pathlib import Path

import click

from landvisor.cli import options as o

DIRECT = {
    "tta": "predict.tta",
    "match_histogram": "predict.match_histogram",
    "backend": "predict.backend",
    "mosaic": "predict.mosaic",
    "to_crs": "predict.crs",
    "resolution": "predict.resolution",
    "on_error": "predict.on_error",
}
"""Recipe path by name of the option."""

ensemble_options = o.options(
    click.option("--with", "others", multiple=True, metavar="MODEL",
                 help="A further model, of any kind; the map is of their mean probabilities."),
    click.option("--weights", metavar="NUMBERS",
                 help="Weight of each model in that mean, as in 0.6,0.4; equal by default."),
    click.option("--weigh-on", type=click.Path(path_type=Path), metavar="POINTS",
                 help="Fit these weights to points that no model has learned from, on IMAGE or "
                 "--val-split."),
    click.option("--val-split", help="Split whose scenes --weigh-on uses, as in val."),
)  # fmt: skip

seeing_options = o.options(
    click.option("--tta", type=click.Choice(["none", "flips", "d4"]),
                 help="See each window from one, four or eight sides, and average."),
    click.option("--match-histogram/--no-match-histogram", default=None,
                 help="Move the bands of all images to the distribution of the training "
                 "imagery's values."),
    o.backend_option,
)  # fmt: skip

mosaic_options = o.options(
    click.option("--mosaic", type=click.Choice(["none", "feather", "first", "cloud", "date"]),
                 help="One map of all images; where they overlap all count, feathered at their "
                 "borders, or the first, least cloudy or latest one."),
    click.option("--to-crs", metavar="CRS", help="CRS of the mosaic; that of the first image."),
    click.option("--resolution", type=float,
                 help="Side of the mosaic's pixels; that of the finest image."),
    click.option("--on-error", type=click.Choice(["fail", "nodata"]),
                 help="Damaged blocks of an image end the run, or become no data and are "
                 "reported."),
)  # fmt: skip


def find_weights(values: o.Values) -> list[float] | None:
    """Return the weights of --weights; None where there are none.

    Raises:
        click.UsageError: If they are no numbers, or options about weights contradict each other.
    """
    text, fitted = values["weights"], values["weigh_on"]
    if values["val_split"] and not fitted:
        raise click.UsageError("--val-split says where --weigh-on looks; name its points")
    if text and fitted:
        raise click.UsageError("--weigh-on fits weights and --weights gives them; leave one out")
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError as error:
        raise click.UsageError(f"--weights {text!r}: write numbers, as in 0.6,0.4") from error
