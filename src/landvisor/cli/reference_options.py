"""How a reference sample is drawn from a map, as options of `sample`, and how it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from landvisor.cli import options as o

_OWN = ("design", "allocation", "standard_error", "expected_accuracy", "minimum", "strata")
_SHARED = ("from_map", "n", "legend", "out", "overwrite", "seed", "as_json", "verbose", "quiet")
_STRATIFIED = ("allocation", "minimum", "strata")

reference_options = o.options(
    click.option("--from-map", is_flag=True,
                 help="Draw places for people to label at random from a map, see --design."),
    click.option("--design", type=click.Choice(o.DESIGNS),
                 help="--from-map: all over the map, or by stratum (the default)."),
    click.option("--allocation", type=click.Choice(("proportional", "equal", "neyman")),
                 help="--from-map: how places are dealt to strata; proportional by default."),
    click.option("--standard-error", type=click.FloatRange(0, 1, min_open=True),
                 help="--from-map: draw as many as give overall accuracy this standard error."),
    click.option("--expected-accuracy", metavar="NUMBER|FILE",
                 help="--from-map: a number, an assessment.json, or a .toml of strata; by default "
                 "the assessment beside the map."),
    click.option("--minimum", type=click.IntRange(1),
                 help="--from-map: places that every stratum gets; 2 by default."),
    click.option("--strata", type=click.Path(path_type=Path),
                 help="--from-map: raster of strata instead of the map's classes."),
)  # fmt: skip


def check_reference_usage(values: dict[str, Any]) -> None:
    """Refuse options that go with the other kind of sample.

    Raises:
        click.UsageError: Naming the first of them.
    """
    if not values["from_map"]:
        idle = [name for name in _OWN if values[name] is not None]
        if idle:
            raise click.UsageError(f"{_spell(idle[0])} goes with --from-map")
        return
    idle = [name for name in values if name not in (*_OWN, *_SHARED) and _is_given(name)]
    if idle:
        raise click.UsageError(f"{_spell(idle[0])} does nothing with --from-map; leave one out")
    if (values["n"] is None) == (values["standard_error"] is None):
        raise click.UsageError("say how many places with either --n or --standard-error")
    told = [name for name in _STRATIFIED if values[name] is not None]
    if values["design"] == "simple" and told:
        raise click.UsageError(f"{_spell(told[0])} goes with --design stratified")


def draw_reference(source: str, values: dict[str, Any]) -> None:
    """Draw a reference sample from a map, write it, and say what was drawn."""
    from landvisor.accuracy.draw import DrawSpec, draw_sample  # imports rasterio

    options = o.make_options({**values, "quiet": True, "aoi": None})
    options.check_out(values["out"], kind="file", read=[source, values["strata"]])
    spec = DrawSpec(
        design=values["design"] or "stratified",
        allocation=values["allocation"] or "proportional",
        n=values["n"],
        standard_error=values["standard_error"],
        expected_accuracy=_read_expected(values["expected_accuracy"]),
        minimum=values["minimum"] or 2,
        seed=values["seed"] or 0,
        strata=values["strata"],
    )
    drawn = draw_sample(
        source, spec, out=values["out"], legend=o.given_legend(values),
        overwrite=values["overwrite"],
    )  # fmt: skip
    said = f"{drawn.table()}\nmade: {values['out']}"
    click.echo(json.dumps(drawn.to_dict(), indent=2) if values["as_json"] else said)


def _read_expected(text: str | None) -> float | Path | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return Path(text)


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def _spell(name: str) -> str:
    return "--" + name.replace("_", "-")
