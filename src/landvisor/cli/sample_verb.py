"""`landvisor sample`: labelled points drawn from masks, once, to be kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o
from landvisor.cli.draw_options import check_usage, draw_options, make_rule

if TYPE_CHECKING:
    from landvisor.geo.collection import Collection


@click.command("sample")
@click.argument("image", metavar="COLLECTION|IMAGE")
@click.option("--mask", type=click.Path(path_type=Path), help="Mask of a single IMAGE.")
@draw_options
@click.option("--legend", type=click.Path(path_type=Path), help="A legend.toml.")
@o.workers_option
@o.out_option("GeoPackage to write.")
@o.options(o.split_option, o.seed_option, o.reading_options, o.json_option, o.verbosity)
def command(image: str, **values: Any) -> None:
    """Draw labelled points from the masks of COLLECTION, or from --mask on IMAGE.

    Without --split, scenes of split test are left out.
    """
    o.start_talking(values)
    check_usage(values)
    from landvisor.files import check_output
    from landvisor.geo.legend import read_legend
    from landvisor.labels.sampling import sample_collection, write_sample

    check_output(values["out"], overwrite=values["overwrite"])
    sample = sample_collection(
        _open(image, values["mask"], values["split"]),
        legend=read_legend(values["legend"]) if values["legend"] else None,
        strategy=values["strategy"],
        n=values["n"] or 10,
        seed=values["seed"] or 0,
        rule=make_rule(values),
        reading=o.make_options({**values, "quiet": True}).reading,  # there is no progress to show
        workers=values["workers"],
    )
    write_sample(sample, values["out"], overwrite=values["overwrite"])
    lines = "\n".join([*sample.facts.lines(), f"made: {values['out']}"])
    click.echo(json.dumps(sample.facts.summary(), indent=2) if values["as_json"] else lines)


def _open(image: str, mask: Path | None, split: str | None) -> Collection:
    collection = o.name_mask(o.find_collection((image,), stack=False), mask)
    if mask is None:
        click.echo(f"{len(collection)} scenes in all", err=True)
    return collection.for_learning(split, None)
