"""`landvisor sample`: labelled points drawn from masks, once, to be kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.geo.collection import Collection

STRATEGIES = ("random", "per_class", "per_object", "grid")


@click.command("sample")
@click.argument("image", metavar="COLLECTION|IMAGE")
@click.option("--mask", type=click.Path(path_type=Path), help="Mask of a single IMAGE.")
@click.option("--strategy", type=click.Choice(STRATEGIES), default="random", show_default=True,
              help="How points are drawn.")  # fmt: skip
@click.option("--n", type=click.IntRange(1), help="Points per image (random), per class and image "
              "(per_class), or step in pixels (grid); 10 by default.")  # fmt: skip
@click.option("--placement", type=click.Choice(["random", "interior"]), help="Where on its object.")
@click.option("--min-area", type=click.IntRange(1), help="Pixels of the smallest object.")
@click.option("--legend", type=click.Path(path_type=Path), help="A legend.toml.")
@o.out_option("GeoPackage to write.")
@o.options(o.split_option, o.seed_option, o.reading_options, o.json_option, o.verbosity)
def command(image: str, **values: Any) -> None:
    """Draw labelled points from the masks of COLLECTION, or from --mask on IMAGE.

    Without --split, scenes of split test are left out.
    """
    o.start_talking(values)
    _check_usage(values)
    from landvisor.files import check_output
    from landvisor.geo.legend import read_legend
    from landvisor.labels.sampling import sample_collection, write_sample
    from landvisor.labels.simulate import ObjectRule

    check_output(values["out"], overwrite=values["overwrite"])
    sample = sample_collection(
        _open(image, values["mask"], values["split"]),
        legend=read_legend(values["legend"]) if values["legend"] else None,
        strategy=values["strategy"],
        n=values["n"] or 10,
        seed=values["seed"] or 0,
        objects=ObjectRule(values["placement"] or "random", values["min_area"] or 1),
        reading=o.make_options({**values, "quiet": True}).reading,  # there is no progress to show
    )
    write_sample(sample, values["out"], overwrite=values["overwrite"])
    lines = "\n".join([*sample.facts.lines(), f"made: {values['out']}"])
    click.echo(json.dumps(sample.facts.summary(), indent=2) if values["as_json"] else lines)


def _open(image: str, mask: Path | None, split: str | None) -> Collection:
    from landvisor.geo.collection import open_collection
    from landvisor.geo.legend import read_legend
    from landvisor.geo.mask_values import find_legend

    collection = open_collection(image)
    if mask is None:
        click.echo(f"{len(collection)} scenes in all", err=True)
        return collection.for_learning(split, None)
    if len(collection) > 1:
        raise click.UsageError("--mask goes with a single IMAGE; a collection names its own masks")
    near = find_legend([*mask.absolute().parents[:2]])
    legend = collection.legend or (read_legend(near) if near else None)
    return replace(collection, items=(replace(collection.items[0], mask=mask),), legend=legend)


def _check_usage(values: dict[str, Any]) -> None:
    objects = values["strategy"] == "per_object"
    if objects and values["n"] is not None:
        raise click.UsageError("per_object draws one point per object; leave --n out")
    if not objects and (values["placement"] or values["min_area"]):
        raise click.UsageError("--placement and --min-area go with --strategy per_object")
