"""`landvisor sample`: points drawn from masks, or places to label drawn from a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.draw_options import check_usage, draw_options, make_rule
from landvisor.cli.reference_options import (
    check_reference_usage,
    draw_reference,
    reference_options,
)


@click.command("sample")
@click.argument("image", metavar="COLLECTION|IMAGE|MAP")
@click.option("--mask", type=click.Path(path_type=Path), help="Mask of a single IMAGE.")
@draw_options
@reference_options
@click.option("--legend", type=click.Path(path_type=Path), help="A legend.toml.")
@o.workers_option
@o.out_option("GeoPackage to write.")
@o.options(o.split_option, o.seed_option, o.reading_options, o.json_option, o.verbosity)
def command(image: str, **values: Any) -> None:
    """Draw labelled points from the masks of COLLECTION, or from --mask on IMAGE.

    With --from-map, draw places from MAP for people to label: a probability sample, of which
    `assess` then tells accuracy and areas. Without --split, scenes of split test are left out.
    """
    o.start_talking(values)
    check_reference_usage(values)
    if values["from_map"]:
        draw_reference(image, values)
        return
    check_usage(values)
    _simulate(image, values)


def _simulate(image: str, values: dict[str, Any]) -> None:
    from landvisor.geo.legend import read_legend
    from landvisor.geo.vectors import check_geopackage
    from landvisor.labels.sampling import sample_collection, write_sample

    check_geopackage(values["out"])
    collection = o.name_mask(o.find_collection((image,), stack=False), values["mask"])
    options = o.make_options({**values, "quiet": True})  # there is no progress to show
    options.check_out(values["out"], kind="file", read=collection.sources())
    sample = sample_collection(
        o.choose_scenes(collection, values, "drawn from"),
        legend=read_legend(values["legend"]) if values["legend"] else None,
        strategy=values["strategy"],
        n=values["n"] or 10,
        seed=values["seed"] or 0,
        rule=make_rule(values),
        reading=options.reading,
        workers=values["workers"],
    )
    write_sample(sample, values["out"], overwrite=values["overwrite"])
    lines = "\n".join([*sample.facts.lines(), f"made: {values['out']}"])
    click.echo(json.dumps(sample.facts.summary(), indent=2) if values["as_json"] else lines)
