"""A report as a PDF file, set by typst from the same content as the page."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from landvisor.report.document import Document

_TEMPLATE = Path(__file__).parent / "templates" / "document.typ"


def can_make_pdf() -> bool:
    """Tell whether typst is installed."""
    return importlib.util.find_spec("typst") is not None


def render_pdf(document: Document, *, date: datetime) -> bytes:
    """Set a report in PDF; the same report and date give the same bytes.

    Args:
        document: The report.
        date: What the file says that it was made on.
    """
    return _compile(document, date=date, format="pdf")[0]


def render_leaves(document: Document, *, date: datetime, dpi: int = 96) -> Sequence[bytes]:
    """Return the leaves of the PDF as PNG files, to look at."""
    return _compile(document, date=date, format="png", ppi=float(dpi))


def _compile(document: Document, *, date: datetime, **how: Any) -> list[bytes]:
    import typst  # optional, of landvisor[study]

    with tempfile.TemporaryDirectory() as folder:
        content = _lay_out(document.to_plain(), Path(folder))
        (Path(folder) / "document.json").write_text(json.dumps(content), encoding="utf-8")
        source = Path(folder) / "document.typ"
        source.write_bytes(_TEMPLATE.read_bytes())
        made = typst.compile(
            str(source), root=folder, ignore_system_fonts=True, timestamp=date, **how
        )
    return list(made) if isinstance(made, list) else [made]


def _lay_out(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write pictures as files, whose names take their place."""
    blocks = [*content["abstract"], *(b for s in content["sections"] for b in s["blocks"])]
    for block in blocks:
        if block["kind"] == "picture":
            name = f"figure{block['number']}.{block['format']}"
            (folder / name).write_bytes(block.pop("data"))
            block["file"] = name
    return content
