"""`landvisor sieve`: a map without small patches, or smoothed by majority."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o
from landvisor.phrases import say_count

WAYS = ("min_pixels", "min_area", "majority")


@click.command("sieve")
@click.argument("source", metavar="MAP")
@o.out_option("GeoTIFF to write.")
@click.option("--min-pixels", type=click.IntRange(1), metavar="N",
              help="Patches of fewer pixels take the class of the largest neighbour.")  # fmt: skip
@click.option("--min-area", type=click.FloatRange(0, min_open=True), metavar="M2",
              help="The same for patches under so many square metres.")  # fmt: skip
@click.option("--majority", type=click.IntRange(3), metavar="SIZE",
              help="Instead: each pixel takes the class that most of SIZE x SIZE pixels around it "
              "have; SIZE is odd.")  # fmt: skip
@click.option("--connect", type=click.Choice(["4", "8"]),
              help="Pixels of a patch hang together by 4 sides, or by corners too; 4 by "
              "default.")  # fmt: skip
@o.options(o.legend_option, o.verbosity)
def command(source: str, **values: Any) -> None:
    """Write MAP anew without small patches, or smoothed by majority.

    MAP is a class raster or a folder of `map` or `predict`; it stays as it is. Probabilities and
    uncertainty are of the old map: nothing changes them.
    """
    o.start_talking(values)
    given = [name for name in WAYS if values[name] is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --min-pixels, --min-area and --majority")
    if values["connect"] and values["majority"]:
        raise click.UsageError("--connect is for patches; --majority has none")
    from landvisor.geo.sieve import majority, sieve  # imports rasterio

    how: dict[str, Any] = {"legend": o.given_legend(values), "overwrite": values["overwrite"]}
    if values["majority"]:
        made = majority(source, values["out"], size=values["majority"], **how)
    else:
        least = {given[0]: values[given[0]]}
        made = sieve(source, values["out"], connect=int(values["connect"] or 4), **least, **how)
    share = 100 * made.changed / max(made.pixels, 1)
    click.echo(f"changed: {say_count(made.changed, 'pixel')} of {made.pixels:,}, {share:.2f} %")
    click.echo(f"made: {made.path}")
