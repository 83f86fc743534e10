"""`landvisor assess`: how right finished maps are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o


@click.command("assess")
@click.argument("maps", type=click.Path())
@click.argument("reference")
@click.option("--border", type=click.IntRange(0), default=0,
              help="Leave out mask pixels this close to a class border.")  # fmt: skip
@click.option("--design", type=click.Choice(o.DESIGNS),
              help="How the points were drawn at random from the map, for estimates of its "
              "accuracy and of areas; a file of `sample --from-map` says it itself.")  # fmt: skip
@click.option("--strata", type=click.Path(path_type=Path),
              help="With --design stratified: raster of the strata that were drawn from, where "
              "they are not the map's classes.")  # fmt: skip
@o.options(o.split_option, o.label_options, o.seed_option, o.json_option, o.verbosity)
def command(maps: str, reference: str, **values: Any) -> None:
    """Hold MAPS (a map file or a folder of `map` or `predict`) against REFERENCE.

    REFERENCE is a collection.csv with masks, one mask raster, or a points file; points of role
    'assess' alone are used where a file has any. With --design, strata are those of --strata, of
    the points' column `stratum`, or else the classes of the map.
    """
    o.start_talking(values)
    if values["strata"] is not None and values["design"] != "stratified":
        raise click.UsageError("--strata goes with --design stratified")
    if values["border"] and values["design"]:
        raise click.UsageError("--border is for masks, --design for points; leave one of them out")
    from landvisor.accuracy.reference import hold_against

    found = hold_against(
        Path(maps),
        reference,
        options=o.make_options(values),
        border=values["border"],
        seed=values["seed"] or 0,
        design=values["design"],
        strata=values["strata"],
    )
    click.echo(json.dumps(found.to_dict(), indent=2) if values["as_json"] else found.table())
