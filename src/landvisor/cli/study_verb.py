"""`landvisor study`: designed experiments, what is missing of them, and what they found."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o

_OUT = click.Path(path_type=Path, file_okay=False)
variant_option = click.option(
    "--variant", default="", metavar="NAME",
    help="A [variant] of the study, as in full, which overrides some of it.",
)  # fmt: skip
folder_argument = click.argument("folder", type=_OUT)
study_option = click.option(
    "--study", "name", help="Name of the study, where FOLDER holds several."
)


@click.group("study")
def command() -> None:
    """Run designed experiments, and say what they found.

    `study run` does the runs of a study file that are missing; `study analyse` says what came of
    them.
    """


@command.command("run")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=_OUT, required=True,
              help="Folder of the database; one that exists is gone on with.")  # fmt: skip
@variant_option
@click.option("--data", "base", type=_OUT,
              help="Folder that paths in STUDY are relative to; that of STUDY itself.")  # fmt: skip
@click.option("--only", multiple=True, metavar="WHAT",
              help="Do these runs alone: an arm, or as in link.area=disk or seed=0.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), help="Most runs to do now.")
@click.option("--retry-failed", is_flag=True, help="Do runs again that failed.")
@click.option("--again", multiple=True, metavar="RUN",
              help="Forget what a run gave, by its hash, and do it again.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Processes that run side by side.")
@click.option("--dask", metavar="ADDRESS", help="Scheduler of the cluster that runs, as in "
              "tcp://10.0.0.1:8786; its workers must see the same files.")  # fmt: skip
@o.verbosity
def run(study: Path, **values: Any) -> None:
    """Do the runs of STUDY, a TOML file, that are missing.

    A run that fails is written down with its error and stops no other. Several of these commands
    may work on one folder; whatever ends one of them, another goes on.
    """
    o.start_talking(values)
    from landvisor.study.read import read_study
    from landvisor.study.run import How, run_study  # imports torch

    if not values["verbose"]:
        logging.getLogger("landvisor").setLevel(logging.WARNING)  # fits would say too much
    names = ("base", "workers", "dask", "only", "limit", "retry_failed", "again")
    quiet = values["quiet"]
    how = How(
        **{name: values[name] for name in names},
        tell=(lambda _: None) if quiet else lambda line: click.echo(line, err=True),
    )
    read = read_study(study, variant=values["variant"])
    states = run_study(read, out=values["out"], how=how)
    said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    click.echo(f"{values['out']}: {said}")


@command.command("status")
@folder_argument
@study_option
@o.options(variant_option, o.json_option)
def status(folder: Path, **values: Any) -> None:
    """List the runs of a study in FOLDER, and the state of each."""
    from landvisor.study.store import Store
    from landvisor.study.tell import list_runs, say_runs

    store = Store.open(folder)
    rows = list_runs(store, *store.find(values["name"], values["variant"]))
    click.echo(json.dumps(rows, indent=2) if values["as_json"] else say_runs(rows))


@command.command("list")
@folder_argument
@o.json_option
def list_all(folder: Path, as_json: bool) -> None:
    """List the studies in FOLDER."""
    from landvisor.study.store import Store
    from landvisor.study.tell import list_studies, say_studies

    rows = list_studies(Store.open(folder))
    click.echo(json.dumps(rows, indent=2) if as_json else say_studies(rows))


@command.command("analyse")
@folder_argument
@study_option
@click.option("--partial", is_flag=True, help="Use what there is where runs are missing.")
@o.options(variant_option, o.json_option)
def analyse(folder: Path, **values: Any) -> None:
    """Say what a study in FOLDER found: means, effects with intervals, and verdicts."""
    from landvisor.study.analysis import analyse as find
    from landvisor.study.store import Store
    from landvisor.study.tell import say_analysis

    store = Store.open(folder)
    name, variant = store.find(values["name"], values["variant"])
    found = find(store, name, variant, partial=values["partial"])
    as_json = values["as_json"]
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else say_analysis(found))
