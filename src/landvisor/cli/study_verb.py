"""`landvisor study`: designed experiments, what is missing of them, and what they found."""

from __future__ import annotations

import click

from landvisor.cli.study_report import report
from landvisor.cli.study_results import analyse, list_all, status
from landvisor.cli.study_run import run


@click.group("study")
def command() -> None:
    """Run designed experiments, and say what they found.

    `study run` does the runs of a study file that are missing; `study analyse` says what came of
    them, and `study report` writes it up.
    """


for part in (run, status, list_all, analyse, report):
    command.add_command(part)
