"""`landvisor areas`: how much of a map each class covers."""

from __future__ import annotations

import json
from typing import Any

import click

from landvisor.cli import options as o


@click.command("areas")
@click.argument("source", metavar="MAP")
@o.options(o.legend_option, o.json_option, o.verbosity)
def command(source: str, **values: Any) -> None:
    """Print pixels, square metres, hectares and share of each class of MAP.

    MAP is a class raster or a folder of `map` or `predict`. How the area of a pixel is known is
    printed below the table.
    """
    o.start_talking(values)
    from landvisor.geo.areas import measure_areas  # imports rasterio

    found = measure_areas(source, legend=o.given_legend(values))
    click.echo(json.dumps(found.to_dict(), indent=2) if values["as_json"] else found.table())
