"""`landvisor export`: a model as a file that other programs run."""

from __future__ import annotations

from typing import Any

import click

from landvisor.cli import options as o


@click.command("export")
@click.argument("model")
@o.out_option("File to write; a folder for openvino.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "deepness", "openvino"]),
    default="onnx",
    show_default=True,
    help="deepness is ONNX for the QGIS plugin of that name.",
)
@click.option(
    "--tile",
    type=click.IntRange(32),
    default=512,
    show_default=True,
    help="Side in pixels of the tiles that deepness reads, and of those of --check-on.",
)
@click.option(
    "--pixel-size",
    type=click.FloatRange(0, min_open=True),
    help="With deepness: metres per pixel of its imagery; by default that of --check-on.",
)
@click.option("--network-only", is_flag=True, help="Leave out members with trees.")
@click.option(
    "--check-on",
    metavar="IMAGE",
    help="Imagery to compare the file with torch on, besides random pixels.",
)
@o.options(o.verbosity)
def command(model: str, **values: Any) -> None:
    """Write the network in the file MODEL as a graph that needs nothing else.

    Its input is an image in native units, its output the probability of each class. The file is run
    and compared with torch before it appears.
    """
    o.start_talking(values)
    kind, size = values["kind"], values["pixel_size"]
    if size is not None and kind != "deepness":
        raise click.UsageError("--pixel-size is for --format deepness; leave it out")
    from landvisor.geo.collection import as_collection  # imports rasterio
    from landvisor.learn.model_file import load_model  # imports torch
    from landvisor.predict.export import ExportSpec, export_model

    checked = values["check_on"]
    export_model(
        load_model(model),
        values["out"],
        spec=ExportSpec(kind, values["tile"], size, values["network_only"]),
        scenes=as_collection(checked).open_scenes() if checked else (),
        overwrite=values["overwrite"],
    )
    click.echo(values["out"])
