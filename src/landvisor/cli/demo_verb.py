"""`landvisor demo`: the main job on a synthetic scene whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o


@click.command("demo")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("demo-result"),
              show_default=True, help="Folder to make for the scene and its map.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@o.options(o.model_options, o.seed_option, o.recipe_options, o.verbosity)
def command(out: Path, **values: Any) -> None:
    """Make a synthetic scene and points, map it, and hold the map against the known truth.

    It needs no weights: the filter bank learns, unless --model or --preset say otherwise.
    """
    o.start_talking(values)
    from landvisor import workflow  # imports torch
    from landvisor.demo import write_demo
    from landvisor.files import check_output, publish_directory

    check_output(out, overwrite=values["overwrite"])
    model = values["model"] or (None if values["preset"] else "bank")
    recipe = o.make_recipe({**values, "model": model})
    options = o.make_options({**values, "overwrite": False})
    with publish_directory(out, overwrite=values["overwrite"]) as aside:
        paths = write_demo(aside, seed=recipe.seed)
        result = workflow.map(
            paths.scene, paths.points, out=aside / "map", recipe=recipe, options=options
        )
        truth = workflow.assess(aside / "map", paths.truth, seed=recipe.seed)
        (aside / "run.json").write_bytes((aside / "map" / "run.json").read_bytes())
    assert result.assessment is not None or not recipe.assess.folds, "folds give a statement"
    if result.assessment is not None:
        click.echo(f"stated: {result.assessment.summary()}")
    click.echo("\nagainst the truth, every pixel:")
    click.echo(truth.table())
    click.echo(f"\nscene:  {out / paths.scene.name}\npoints: {out / paths.points.name}")
    click.echo(f"map:    {out / 'map' / 'map.tif'}\nreport: {out / 'map' / 'report.html'}")
