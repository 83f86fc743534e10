"""`landvisor map`: the main job, from imagery and points to a map with a stated accuracy."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o


@click.command("map")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE... POINTS")
@o.out_option("Folder to make for the map, the report and the model.")
@o.options(o.model_options, o.unlabelled_option, o.seed_option)
@o.fold_options
@o.options(o.split_option, o.source_options, o.label_options, o.reading_options, o.recipe_options)
@o.options(o.team_options, o.verbosity)
def command(inputs: tuple[str, ...], **values: Any) -> None:
    """Turn imagery and labelled POINTS into a map with a stated accuracy.

    IMAGE is a GeoTIFF, VRT, PNG, JPEG or anything else that GDAL opens, a folder, a glob or a
    collection.csv. POINTS is a GeoPackage, GeoJSON, Shapefile, FlatGeobuf, Parquet or CSV file
    with a class column; polygons and lines will do as well.
    """
    o.start_talking(values)
    if len(inputs) < 2:
        raise click.UsageError(
            "need imagery and points, as in: landvisor map scene.tif points.gpkg"
        )
    from landvisor import workflow  # imports torch

    result = workflow.map(
        o.find_collection(inputs[:-1], stack=values["stack"], assets=values["assets"]),
        inputs[-1],
        out=values["out"],
        recipe=o.make_recipe(values),
        options=o.make_options(values),
    )
    if result.assessment is None:
        click.echo("accuracy: not stated, since --folds 0 left it out")
    else:
        click.echo(result.assessment.table())
    click.echo(f"map:    {result.folder / 'map.tif'}" if (result.folder / "map.tif").exists()
               else f"maps:   {result.folder}")  # fmt: skip
    click.echo(f"report: {result.folder / 'report.html'}")
