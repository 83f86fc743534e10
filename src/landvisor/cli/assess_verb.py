"""`landvisor assess`: how right finished maps are."""

from __future__ import annotations

import json
from typing import Any

import click

from landvisor.cli import options as o


@click.command("assess")
@click.argument("maps", type=click.Path())
@click.argument("reference")
@click.option("--border", type=click.IntRange(0), default=0,
              help="Leave out mask pixels this close to a class border.")  # fmt: skip
@o.options(o.split_option, o.label_options, o.seed_option, o.json_option, o.verbosity)
def command(maps: str, reference: str, **values: Any) -> None:
    """Hold MAPS (a map file or a folder of `map` or `predict`) against REFERENCE.

    REFERENCE is a collection.csv with masks, one mask raster, or a points file; points of role
    'assess' alone are used where a file has any.
    """
    o.start_talking(values)
    from pathlib import Path

    from landvisor.accuracy.reference import hold_against

    found = hold_against(
        Path(maps),
        reference,
        options=o.make_options(values),
        border=values["border"],
        seed=values["seed"] or 0,
    )
    click.echo(json.dumps(found.to_dict(), indent=2) if values["as_json"] else found.table())
