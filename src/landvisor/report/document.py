"""What a technical report consists of: sections of text, tables and figures, however shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from landvisor.report.formula import Formula

Source = Mapping[str, str]
"""Where a number was read, by name: what a reader needs to find it again."""
Style = Literal[
    "strong", "emphasis", "code", "quiet", "supported", "refuted", "undecided", "swatch"
]
Align = Literal["left", "right"]


@dataclass(frozen=True)
class Number:
    """A number that was measured or computed.

    Attributes:
        text: As it is shown.
        value: As it is, unrounded; None where there is none.
        source: Where it was read.
    """

    text: str
    value: float | int | str | None
    source: Source


@dataclass(frozen=True)
class Styled:
    """Words that look different; the text of a `swatch` is a colour such as `#2f6fb0`."""

    text: str
    style: Style


Inline = str | Number | Styled
Text = str | Number | Styled | tuple[Inline, ...]


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list of sentences; `warning` sets them apart from all else."""

    items: tuple[Text, ...]
    warning: bool = False


@dataclass(frozen=True)
class Pairs:
    """Labels, each with what it stands for."""

    rows: tuple[tuple[str, Text], ...]


@dataclass(frozen=True)
class Table:
    """Rows below a head; the first cell of a row names it.

    Attributes:
        caption: What it shows.
        head: A cell per column.
        rows: Of as many cells.
        align: Of each column; the first is left and the others right where not given.
    """

    caption: Text
    head: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    align: tuple[Align, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        data: Content of an SVG or PNG file.
        kind: Which of them.
        alt: What it shows, for those who cannot see it.
        caption: What stands below it.
        width: Share of the text's width.
    """

    data: bytes = field(repr=False)
    kind: Literal["svg", "png"]
    alt: str
    caption: Text
    width: float = 1.0


@dataclass(frozen=True)
class Equation:
    """A formula on a line of its own, and what it says for those who cannot see it."""

    formula: Formula
    alt: str


@dataclass(frozen=True)
class Listing:
    """Commands or a file, line by line."""

    code: str


Block = Paragraph | Bullets | Pairs | Table | Picture | Equation | Listing


@dataclass(frozen=True)
class Section:
    """Blocks below a title, and then further sections."""

    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        eyebrow: What kind of report it is.
        title: Its own.
        summary: One line below the title.
        abstract: Blocks before the first section.
        sections: In order.
    """

    eyebrow: str
    title: str
    summary: Text
    abstract: tuple[Block, ...]
    sections: tuple[Section, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for a template, with sections, tables and figures numbered."""
        numbering = _Numbering()
        return {
            "eyebrow": self.eyebrow,
            "title": self.title,
            "summary": plain_text(self.summary),
            "abstract": [numbering.number(block) for block in self.abstract],
            "sections": list(_list_sections(self.sections, numbering)),
        }


def plain_text(text: Text) -> list[dict[str, Any]]:
    """Return text as plain values, a piece for each change of style."""
    pieces = text if isinstance(text, tuple) else (text,)
    return [_plain_piece(piece) for piece in pieces if piece != ""]


def join_texts(texts: Iterable[Text], *, between: str = " ") -> Text:
    """Join texts to one."""
    joined: list[Inline] = []
    for text in texts:
        joined += [between] if joined else []
        joined += text if isinstance(text, tuple) else (text,)
    return tuple(joined)


def _plain_piece(piece: Inline) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"style": "text", "text": piece}
    if isinstance(piece, Styled):
        return {"style": piece.style, "text": piece.text}
    return {
        "style": "number", "text": piece.text, "value": piece.value, "source": dict(piece.source),
    }  # fmt: skip


def _list_sections(
    sections: Iterable[Section], numbering: _Numbering, *, above: str = "", level: int = 1
) -> Iterable[dict[str, Any]]:
    for position, section in enumerate(sections, 1):
        number = f"{above}{position}"
        blocks = [numbering.number(block) for block in section.blocks]
        yield {"number": number, "title": section.title, "level": level, "blocks": blocks}
        yield from _list_sections(section.sections, numbering, above=f"{number}.", level=level + 1)


class _Numbering:
    """Counts tables and figures in the order in which they are met."""

    def __init__(self) -> None:
        self.tables = count(1)
        self.figures = count(1)

    def number(self, block: Block) -> dict[str, Any]:
        """Return a block as plain values."""
        if isinstance(block, Table):
            return {"kind": "table", "number": next(self.tables), **_plain_table(block)}
        if isinstance(block, Picture):
            return {
                "kind": "picture", "number": next(self.figures), "data": block.data,
                "format": block.kind, "alt": block.alt, "caption": plain_text(block.caption),
                "width": block.width,
            }  # fmt: skip
        return _plain_block(block)


def _plain_table(table: Table) -> dict[str, Any]:
    return {
        "caption": plain_text(table.caption),
        "head": [plain_text(cell) for cell in table.head],
        "rows": [[plain_text(cell) for cell in row] for row in table.rows],
        "align": list(table.align) or ["left", *["right"] * (len(table.head) - 1)],
    }


def _plain_block(block: Paragraph | Bullets | Pairs | Equation | Listing) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": plain_text(block.text)}
    if isinstance(block, Bullets):
        items = [plain_text(item) for item in block.items]
        return {"kind": "bullets", "items": items, "warning": block.warning}
    if isinstance(block, Pairs):
        rows = [{"label": label, "text": plain_text(text)} for label, text in block.rows]
        return {"kind": "pairs", "rows": rows}
    if isinstance(block, Listing):
        return {"kind": "listing", "code": block.code}
    return {"kind": "equation", "formula": block.formula, "alt": block.alt}
