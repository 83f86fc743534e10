"""A report as one HTML page that needs no other file, runs no script and makes no request."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from landvisor.report.document import Document
from landvisor.report.formula import Formula, to_mathml

_MIME = {"svg": "image/svg+xml", "png": "image/png"}


def render_html(document: Document) -> str:
    """Render a report as HTML; every number carries its value and its source as attributes."""
    environment = Environment(
        loader=PackageLoader("landvisor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": _to_uri, "mathml": _to_markup, "said": _say}
    return environment.get_template("document.html").render(page=document.to_plain())


def _to_uri(picture: dict[str, Any]) -> str:
    coded = base64.b64encode(picture["data"]).decode()
    return f"data:{_MIME[picture['format']]};base64,{coded}"


def _to_markup(formula: Formula) -> Markup:
    return Markup(to_mathml(formula))  # noqa: S704 - its leaves are escaped


def _say(value: object) -> str:
    """Return a value so that reading it gives the same one."""
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
