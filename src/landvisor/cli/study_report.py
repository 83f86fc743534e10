"""`landvisor study report`: a study written up for readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from landvisor.cli import options as o
from landvisor.cli.study_results import folder_argument, study_option
from landvisor.cli.study_run import variant_option


@click.command("report")
@folder_argument
@study_option
@click.option("--pdf/--no-pdf", default=True, help="Write a PDF too; needs landvisor[study].")
@o.out_option("Folder of report.html and report.pdf.")
@o.options(variant_option, o.json_option, o.verbosity)
def report(folder: Path, out: Path, **values: Any) -> None:
    """Write the technical report of a study in FOLDER, as HTML and PDF.

    All numbers in it come from the study's database. Runs that are missing or failed are left
    out, and the report says so.
    """
    o.start_talking(values)
    from landvisor.study.report import say_verdicts, write_report

    chosen = {name: values[name] for name in ("variant", "pdf", "overwrite")}
    made = write_report(folder, out, study=values["name"], **chosen)
    if made.note:
        click.echo(f"landvisor: {made.note}", err=True)
    if values["as_json"]:
        files = {"html": str(made.html), "pdf": made.pdf and str(made.pdf)}
        click.echo(json.dumps({**files, "verdicts": say_verdicts(made)}, indent=2))
    else:
        click.echo("\n".join(str(path) for path in (made.html, made.pdf) if path))
