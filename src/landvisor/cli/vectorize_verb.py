"""`landvisor vectorize`: a map as polygons."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o
from landvisor.phrases import say_count


@click.command("vectorize")
@click.argument("source", metavar="MAP")
@o.out_option("GeoPackage (.gpkg) or FlatGeobuf (.fgb) to write.")
@click.option("--min-area", type=click.FloatRange(0), default=0.0, metavar="M2",
              help="Leave out patches under so many square metres.")  # fmt: skip
@click.option("--min-pixels", type=click.IntRange(0), default=0,
              help="Leave out patches of fewer pixels.")  # fmt: skip
@o.options(o.legend_option, o.verbosity)
def command(source: str, **values: Any) -> None:
    """Write the patches of MAP as polygons; a GeoPackage holds their QGIS style too.

    MAP is a class raster or a folder of `map` or `predict`. What is left out as too small is in
    no polygon; `landvisor sieve` gives it to its neighbours.
    """
    o.start_talking(values)
    from landvisor.geo.vectorize import vectorize  # imports rasterio

    made = vectorize(
        source,
        values["out"],
        legend=o.given_legend(values),
        min_pixels=values["min_pixels"],
        min_area=values["min_area"],
        overwrite=values["overwrite"],
    )
    click.echo(say_count(made.polygons, "polygon"))
    if made.left_out:
        click.echo(f"left out as too small: {say_count(made.left_out, 'patch', 'patches')}")
    click.echo(f"made: {made.path}")
