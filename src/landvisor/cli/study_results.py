"""`landvisor study status`, `list` and `analyse`: how far studies are, and what they found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.study_run import variant_option

folder_argument = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
study_option = click.option(
    "--study", "name", help="Name of the study, where FOLDER holds several."
)


@click.command("status")
@folder_argument
@study_option
@o.options(variant_option, o.json_option, o.verbosity)
def status(folder: Path, **values: Any) -> None:
    """List the runs of a study in FOLDER, and the state of each."""
    o.start_talking(values)
    from landvisor.study.store import Store
    from landvisor.study.tell import list_runs, say_runs

    store = Store.open(folder)
    rows = list_runs(store, *store.find(values["name"], values["variant"]))
    click.echo(json.dumps(rows, indent=2) if values["as_json"] else say_runs(rows))


@click.command("list")
@folder_argument
@o.options(o.json_option, o.verbosity)
def list_all(folder: Path, **values: Any) -> None:
    """List the studies in FOLDER."""
    o.start_talking(values)
    from landvisor.study.store import Store
    from landvisor.study.tell import list_studies, say_studies

    rows = list_studies(Store.open(folder))
    click.echo(json.dumps(rows, indent=2) if values["as_json"] else say_studies(rows))


@click.command("analyse")
@folder_argument
@study_option
@click.option("--partial", is_flag=True, help="Use what there is where runs are missing.")
@o.options(variant_option, o.json_option, o.verbosity)
def analyse(folder: Path, **values: Any) -> None:
    """Say what a study in FOLDER found: means, effects with intervals, and verdicts."""
    o.start_talking(values)
    from landvisor.study.analysis import analyse as find
    from landvisor.study.store import Store
    from landvisor.study.tell import say_analysis

    store = Store.open(folder)
    name, variant = store.find(values["name"], values["variant"])
    found = find(store, name, variant, partial=values["partial"])
    as_json = values["as_json"]
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else say_analysis(found))
