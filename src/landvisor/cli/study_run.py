"""`landvisor study run`: the runs of a study that are missing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o

_FOLDER = click.Path(path_type=Path, file_okay=False)
variant_option = click.option(
    "--variant", default="", metavar="NAME",
    help="A [variant] of the study, as in full, which overrides some of it.",
)  # fmt: skip


@click.command("run")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=_FOLDER, required=True,
              help="Folder of the database; one that exists is gone on with.")  # fmt: skip
@variant_option
@click.option("--data", "base", type=_FOLDER,
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
